"""Google's OAuth 2.0: developers.google.com/identity/protocols/oauth2/web-server."""

import time
from typing import Any, Final

from joserfc import jwt
from starlette.responses import Response

from deploy.sandbox.accounts import Account
from deploy.sandbox.call import JSON, Call
from deploy.sandbox.consent import (
    Pending,
    answered,
    ask,
    authenticate,
    fresh,
    problem,
    proves,
    send_back,
    well_formed_challenge,
)
from deploy.sandbox.grants import Authorization, Token

ISSUER: Final = "https://accounts.google.com"
API: Final = "https://www.googleapis.com/auth/"
SCOPES: Final = frozenset(
    {API + name for name in ("calendar", "calendar.events", "calendar.events.owned", "calendar.freebusy")}
    | {API + name for name in ("calendar.readonly", "calendar.events.readonly", "calendar.events.owned.readonly")}
    | {API + "calendar.events.freebusy", API + "userinfo.email", API + "userinfo.profile", "openid", "email", "profile"}
)
ALIASES: Final = {"email": API + "userinfo.email", "profile": API + "userinfo.profile"}


def authorize(call: Call) -> Response:
    """The authorization endpoint: the page, or (POST) the person's answer to it."""
    if call.method == "POST":
        return _decide(call)
    wrong = _wrong_app(call) or _wrong(call)
    if wrong is not None:
        status, error, text = wrong
        return problem(status, f"Error {status}: {error}", text)
    pending = _pending(call)
    if "none" in pending.prompt:
        return send_back(pending, {"error": "interaction_required", "iss": ISSUER})
    people = call.world.people("google")
    if not people:
        return problem(
            404, "Nobody here", "The sandbox has no Google account yet: make one with POST /sandbox/accounts."
        )
    return ask(call, pending, [(person.email, person.name) for person in people])


def _wrong_app(call: Call) -> tuple[int, str, str] | None:
    app = call.world.registrations.get(("google", call.first("client_id")))
    if app is None:
        return 401, "invalid_client", "The OAuth client was not found."
    if not app.redirects_to(call.first("redirect_uri")):
        return 400, "redirect_uri_mismatch", "This redirect_uri is not registered for the app."
    return None


def _wrong(call: Call) -> tuple[int, str, str] | None:
    asked = call.first("scope").split()
    checks = (
        (
            call.first("response_type") == "code",
            "unsupported_response_type",
            "The sandbox plays response_type=code only.",
        ),
        (bool(asked), "invalid_request", "Missing required parameter: scope"),
        (SCOPES.issuperset(asked), "invalid_scope", "Some requested scopes were invalid."),
        (call.first("access_type", "online") in ("online", "offline"), "invalid_request", "Invalid access_type."),
        (
            well_formed_challenge(call.first("code_challenge"), call.first("code_challenge_method")),
            "invalid_request",
            "Invalid code_challenge or code_challenge_method.",
        ),
        (
            {"none", "consent", "select_account"}.issuperset(call.first("prompt").split()),
            "invalid_request",
            "Invalid parameter value for prompt.",
        ),
    )
    return next(((400, error, text) for fine, error, text in checks if not fine), None)


def _pending(call: Call) -> Pending:
    return Pending(
        provider="google",
        client_id=call.first("client_id"),
        redirect_uri=call.first("redirect_uri"),
        scopes=tuple(dict.fromkeys(ALIASES.get(scope, scope) for scope in call.first("scope").split())),
        state=call.first("state"),
        challenge=call.first("code_challenge"),
        challenge_method=call.first("code_challenge_method", "plain"),
        nonce=call.first("nonce"),
        prompt=tuple(call.first("prompt").split()),
        refreshable=call.first("access_type") == "offline",
    )


def _decide(call: Call) -> Response:
    found = answered(call, "google")
    if found is None:
        return problem(400, "Error 400: invalid_request", "This sign-in has been answered already, or is unknown.")
    pending, form = found
    person = call.world.account("google", form.get("account", [""])[0])
    granted = tuple(scope for scope in pending.scopes if scope in form.get("scope", []))
    if form.get("decision") != ["allow"] or person is None or not granted:
        return send_back(pending, {"error": "access_denied", "iss": ISSUER})
    grants = call.world.grants["google"]
    known = grants.consents.setdefault((person.email, pending.client_id), set())
    first_time = not known
    known.update(granted)
    code = grants.new_code(
        Authorization(
            account=person,
            client_id=pending.client_id,
            redirect_uri=pending.redirect_uri,
            scopes=granted,
            challenge=pending.challenge,
            challenge_method=pending.challenge_method,
            nonce=pending.nonce,
            refreshable=pending.refreshable and (first_time or "consent" in pending.prompt),
            issued=time.time(),
        )
    )
    return send_back(
        pending, {"iss": ISSUER, "code": code, "scope": " ".join(granted), "authuser": "0", "prompt": "consent"}
    )


def _refuse(error: str, text: str, status: int = 400) -> Response:
    return JSON({"error": error, "error_description": text}, status)


def token(call: Call) -> Response:
    """The token endpoint: exchanges a code, or refreshes."""
    if authenticate(call, "google") is None:
        return _refuse("invalid_client", "The OAuth client was not found.", 401)
    kind = call.form().get("grant_type", [""])[0]
    if kind == "authorization_code":
        return _exchange(call)
    if kind == "refresh_token":
        return _refresh(call)
    return _refuse("unsupported_grant_type", f"Invalid grant_type: {kind[:40]}")


def _exchange(call: Call) -> Response:
    form = {name: values[0] for name, values in call.form().items()}
    found = call.world.grants["google"].codes.pop(form.get("code", ""), None)
    if found is None or not fresh(call, found) or found.client_id != _client(call):
        return _refuse("invalid_grant", "Malformed auth code.")
    if form.get("redirect_uri") != found.redirect_uri:
        return _refuse("redirect_uri_mismatch", "Bad Request")
    if not proves(found, form.get("code_verifier", "")):
        return _refuse(
            "invalid_grant", "Invalid code verifier." if "code_verifier" in form else "Missing code verifier."
        )
    answer = _answer(call, found.account, found.client_id, found.scopes)
    if found.refreshable:
        lasting = Token(found.account, found.client_id, found.scopes)
        answer["refresh_token"] = call.world.grants["google"].new_refresh(lasting)
    if "openid" in found.scopes:
        answer["id_token"] = _id_token(call, found)
    return JSON(answer, headers={"cache-control": "no-store"})


def _refresh(call: Call) -> Response:
    known = call.world.grants["google"].refresh.get(call.form().get("refresh_token", [""])[0])
    if known is None or known.client_id != _client(call):
        return _refuse("invalid_grant", "Token has been expired or revoked.")
    asked = tuple(call.form().get("scope", [""])[0].split()) or known.scopes
    if not set(asked) <= set(known.scopes):
        return _refuse("invalid_scope", "Some requested scopes were invalid.")
    return JSON(_answer(call, known.account, known.client_id, asked), headers={"cache-control": "no-store"})


def _client(call: Call) -> str:
    app = authenticate(call, "google")
    return app.client_id if app else ""


def _answer(call: Call, person: Account, client: str, scopes: tuple[str, ...]) -> dict[str, Any]:
    seconds = call.world.settings.access_token_seconds
    value = call.world.grants["google"].new_access(Token(person, client, scopes, time.time() + seconds))
    return {"access_token": value, "expires_in": seconds, "scope": " ".join(scopes), "token_type": "Bearer"}


def _id_token(call: Call, found: Authorization) -> str:
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "azp": found.client_id,
        "aud": found.client_id,
        "sub": found.account.subject,
    }
    claims |= {"iat": now, "exp": now + 3600}
    if found.nonce:
        claims["nonce"] = found.nonce
    if ALIASES["email"] in found.scopes:
        claims |= {"email": found.account.email, "email_verified": True}
    key = call.world.key
    return jwt.encode({"alg": "RS256", "kid": key.kid or ""}, claims, key)


def revoke(call: Call) -> Response:
    """The revocation endpoint (RFC 7009): takes back the whole grant, whichever token is given."""
    given = call.form().get("token") or call.query.get("token") or [""]
    person = call.world.grants["google"].owner(given[0])
    if person is None:
        return _refuse("invalid_token", "Token expired or revoked")
    call.world.grants["google"].revoke(person)
    return JSON({})


def certificates(call: Call) -> Response:
    """The public keys that sign ID tokens."""
    return JSON({"keys": [call.world.key.as_dict(private=False)]})

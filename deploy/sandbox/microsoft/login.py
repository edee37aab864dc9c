"""Microsoft's identity platform, v2.0: learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow.

Mounted at the root (`/common/oauth2/v2.0/authorize`, ...), so that msal finds it with authority=<base>/common.
"""

import re
import time
from typing import Final

from starlette.responses import HTMLResponse, RedirectResponse, Response

from deploy.sandbox.accounts import Account, tenant_of
from deploy.sandbox.call import JSON, Call
from deploy.sandbox.consent import Pending, answered, ask, problem, send_back, well_formed_challenge
from deploy.sandbox.grants import Authorization

GRAPH: Final = "https://graph.microsoft.com/"
SCOPES: Final = frozenset({"Calendars.Read", "Calendars.ReadBasic", "Calendars.ReadWrite", "User.Read"})
RESERVED: Final = frozenset({"openid", "profile", "offline_access", "email"})
SHARED_TENANTS: Final = ("common", "organizations")
UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

CAPABILITIES: Final = {
    "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
    "response_modes_supported": ["query", "fragment", "form_post"],
    "response_types_supported": ["code"],
    "subject_types_supported": ["pairwise"],
    "id_token_signing_alg_values_supported": ["RS256"],
    "scopes_supported": ["openid", "profile", "email", "offline_access"],
    "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "preferred_username", "name", "tid", "oid", "ver"],
    "request_uri_parameter_supported": False,
}


def tenant_id(call: Call) -> str | None:
    """The tenant of the path: `common`, `organizations`, or the id behind an id or a domain that has people here."""
    given = call.parameters["tenant"].lower()
    if given in SHARED_TENANTS:
        return given
    wanted = given if UUID.fullmatch(given) else tenant_of(given)
    return wanted if any(person.tenant == wanted for person in call.world.people("microsoft")) else None


def members(call: Call, tenant: str) -> list[Account]:
    """The people who can sign in at that tenant."""
    people = call.world.people("microsoft")
    return people if tenant in SHARED_TENANTS else [person for person in people if person.tenant == tenant]


def discovery(call: Call) -> Response:
    """OpenID discovery. For `common` the issuer is a template with `{tenantid}`, as Microsoft's own is."""
    tenant, named = tenant_id(call), call.parameters["tenant"]
    if tenant is None:
        text = f"AADSTS90002: Tenant '{named[:80]}' not found. Check to make sure you have the correct tenant ID."
        return JSON({"error": "invalid_tenant", "error_description": text, "error_codes": [90002]}, 400)
    issuer = "{tenantid}" if tenant in SHARED_TENANTS else tenant
    root = f"{call.base}/{named}"
    places = {
        "issuer": f"{call.base}/{issuer}/v2.0",
        "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
        "token_endpoint": f"{root}/oauth2/v2.0/token",
        "end_session_endpoint": f"{root}/oauth2/v2.0/logout",
        "jwks_uri": f"{root}/discovery/v2.0/keys",
    }
    return JSON({**places, **CAPABILITIES})


def keys(call: Call) -> Response:
    """The public keys that sign ID tokens."""
    return JSON({"keys": [call.world.key.as_dict(private=False)]})


def logout(call: Call) -> Response:
    """The end of a session: back to the app, if it says where."""
    to = call.first("post_logout_redirect_uri")
    apps = call.world.registrations.values()
    if to and any(app.provider == "microsoft" and app.redirects_to(to) for app in apps):
        return RedirectResponse(to, 302)
    return HTMLResponse("<!doctype html><title>Signed out</title><p>You signed out of your account.</p>")


def authorize(call: Call) -> Response:
    """The authorization endpoint: the page, or (POST) the person's answer to it."""
    if call.method == "POST":
        return _decide(call)
    wrong = _wrong(call)
    if wrong:
        return problem(400, "Sorry, but we’re having trouble signing you in.", wrong)
    tenant = tenant_id(call) or ""
    pending = _pending(call, tenant)
    if "none" in pending.prompt:
        text = "AADSTS50058: A silent sign-in request was sent but no user is signed in."
        return send_back(pending, {"error": "login_required", "error_description": text})
    people = members(call, tenant)
    if not people:
        return problem(
            404, "Nobody here", "The sandbox has no Microsoft account yet: make one with POST /sandbox/accounts."
        )
    return ask(call, pending, [(person.email, person.name) for person in people])


def _wrong(call: Call) -> str:
    app = call.world.registrations.get(("microsoft", call.first("client_id")))
    asked = call.first("scope").split()
    challenge = well_formed_challenge(call.first("code_challenge"), call.first("code_challenge_method"))
    checks = (
        (tenant_id(call) is not None, "AADSTS90002: Tenant not found."),
        (app is not None, "AADSTS700016: Application with that identifier was not found in the directory."),
        (
            app is not None and app.redirects_to(call.first("redirect_uri")),
            "AADSTS50011: The redirect URI specified in the request does not match the redirect URIs configured.",
        ),
        (call.first("response_type") == "code", "AADSTS70005: The sandbox plays response_type=code only."),
        (bool(asked), "AADSTS900144: The request must contain the following parameter: 'scope'."),
        (
            all(known_scope(scope) for scope in asked),
            "AADSTS70011: The provided value for the input parameter 'scope' is not valid.",
        ),
        (challenge, "AADSTS501481: The code_challenge or its method is not valid."),
        (
            call.first("response_mode", "query") in ("query", "fragment", "form_post"),
            "AADSTS70007: The response_mode is not supported.",
        ),
    )
    return next((text for fine, text in checks if not fine), "")


def known_scope(scope: str) -> bool:
    """Whether the sandbox can grant this scope, in its short or its full form."""
    return scope in RESERVED or scope.removeprefix(GRAPH) in SCOPES


def _pending(call: Call, tenant: str) -> Pending:
    return Pending(
        provider="microsoft",
        client_id=call.first("client_id"),
        redirect_uri=call.first("redirect_uri"),
        scopes=tuple(dict.fromkeys(call.first("scope").split())),
        state=call.first("state"),
        challenge=call.first("code_challenge"),
        challenge_method=call.first("code_challenge_method", "plain"),
        nonce=call.first("nonce"),
        prompt=tuple(call.first("prompt").split()),
        refreshable="offline_access" in call.first("scope").split(),
        tenant=tenant,
        response_mode=call.first("response_mode", "query"),
    )


def _decide(call: Call) -> Response:
    found = answered(call, "microsoft")
    if found is None:
        return problem(400, "Sorry, but we’re having trouble signing you in.", "AADSTS90014: This sign-in is unknown.")
    pending, form = found
    person = call.world.account("microsoft", form.get("account", [""])[0])
    granted = tuple(scope for scope in pending.scopes if scope in form.get("scope", []))
    if form.get("decision") != ["allow"] or person not in members(call, pending.tenant) or not granted:
        text = "AADSTS65004: User declined to consent to access the app."
        return send_back(pending, {"error": "access_denied", "error_description": text, "error_subcode": "cancel"})
    grants = call.world.grants["microsoft"]
    grants.consents.setdefault((person.email, pending.client_id), set()).update(granted)
    code = grants.new_code(
        Authorization(
            account=person,
            client_id=pending.client_id,
            redirect_uri=pending.redirect_uri,
            scopes=granted,
            challenge=pending.challenge,
            challenge_method=pending.challenge_method,
            nonce=pending.nonce,
            refreshable="offline_access" in granted,
            issued=time.time(),
        )
    )
    return send_back(pending, {"code": code, "session_state": person.subject})

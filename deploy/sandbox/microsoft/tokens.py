"""Microsoft's token endpoint. Errors: learn.microsoft.com/entra/identity-platform/reference-error-codes."""

import base64
import time
import uuid
from typing import Any

import msgspec
from joserfc import jwt
from starlette.responses import Response

from deploy.sandbox.accounts import Account
from deploy.sandbox.call import JSON, Call
from deploy.sandbox.consent import authenticate, fresh, proves
from deploy.sandbox.grants import Authorization, Token
from deploy.sandbox.microsoft.login import RESERVED, SHARED_TENANTS, known_scope, tenant_id
from deploy.sandbox.times import now


def _refuse(error: str, code: int, text: str, status: int = 400) -> Response:
    trace = str(uuid.uuid4())
    stamp = now().strftime("%Y-%m-%d %H:%M:%SZ")
    return JSON(
        {
            "error": error,
            "error_description": f"AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {trace} Timestamp: {stamp}",
            "error_codes": [code],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": trace,
            "error_uri": f"https://login.microsoftonline.com/error?code={code}",
        },
        status,
    )


def token(call: Call) -> Response:
    """Exchanges a code, or refreshes."""
    tenant = tenant_id(call)
    if tenant is None:
        return _refuse("invalid_request", 90002, "Tenant not found.")
    app = authenticate(call, "microsoft")
    if app is None:
        return _refuse("invalid_client", 7000215, "Invalid client secret provided.", 401)
    form = {name: values[0] for name, values in call.form().items()}
    kind = form.get("grant_type", "")
    if kind == "authorization_code":
        return _exchange(call, form, app.client_id, tenant)
    if kind == "refresh_token":
        return _refresh(call, form, app.client_id, tenant)
    return _refuse("unsupported_grant_type", 70003, "The app requested an unsupported grant type.")


def _at_home(person: Account, tenant: str) -> bool:
    return tenant in SHARED_TENANTS or person.tenant == tenant


def _exchange(call: Call, form: dict[str, str], client: str, tenant: str) -> Response:
    found = call.world.grants["microsoft"].codes.pop(form.get("code", ""), None)
    if found is None or found.client_id != client or not _at_home(found.account, tenant):
        return _refuse("invalid_grant", 70000, "The provided authorization code is invalid or was already redeemed.")
    if not fresh(call, found):
        return _refuse("invalid_grant", 70008, "The provided authorization code has expired.")
    if form.get("redirect_uri") != found.redirect_uri:
        return _refuse("invalid_grant", 50011, "The redirect URI does not match the one of the authorization request.")
    if not proves(found, form.get("code_verifier", "")):
        return _refuse("invalid_grant", 501481, "The Code_Verifier does not match the code_challenge supplied.")
    answer = _answer(call, Token(found.account, client, found.scopes), found.scopes)
    if "openid" in found.scopes:
        answer["id_token"] = _id_token(call, found.account, found)
    return _finish(answer, found.account, form)


def _refresh(call: Call, form: dict[str, str], client: str, tenant: str) -> Response:
    grants = call.world.grants["microsoft"]
    known = grants.refresh.get(form.get("refresh_token", ""))
    if known is None or known.client_id != client or not _at_home(known.account, tenant):
        return _refuse(
            "invalid_grant", 70000, "The provided grant has expired due to it being revoked, a fresh token is needed."
        )
    asked = tuple(form.get("scope", "").split()) or known.scopes
    if not all(known_scope(scope) for scope in asked):
        return _refuse("invalid_scope", 70011, "The provided value for the input parameter 'scope' is not valid.")
    if not set(asked) - RESERVED <= set(known.scopes):
        text = "The user or administrator has not consented to use the application. Send an interactive authorization request."
        return _refuse("invalid_grant", 65001, text)
    if not call.world.settings.old_refresh_tokens_work:
        del grants.refresh[form["refresh_token"]]
    answer = _answer(call, known, asked)
    if "openid" in asked:
        answer["id_token"] = _id_token(call, known.account, None, client)
    return _finish(answer, known.account, form)


def _answer(call: Call, grant: Token, scopes: tuple[str, ...]) -> dict[str, Any]:
    grants, seconds = call.world.grants["microsoft"], call.world.settings.access_token_seconds
    access = grants.new_access(Token(grant.account, grant.client_id, scopes, time.time() + seconds))
    shown = " ".join(scope for scope in scopes if scope != "offline_access")
    answer = {
        "token_type": "Bearer",
        "scope": shown,
        "expires_in": seconds,
        "ext_expires_in": seconds,
        "access_token": access,
    }
    if "offline_access" in grant.scopes:
        answer["refresh_token"] = grants.new_refresh(Token(grant.account, grant.client_id, grant.scopes))
    return answer


def _finish(answer: dict[str, Any], person: Account, form: dict[str, str]) -> Response:
    if form.get("client_info") == "1":
        info = msgspec.json.encode({"uid": person.subject, "utid": person.tenant})
        answer["client_info"] = base64.urlsafe_b64encode(info).decode().rstrip("=")
    return JSON(answer, headers={"cache-control": "no-store"})


def _id_token(call: Call, person: Account, found: Authorization | None, client: str = "") -> str:
    moment = int(time.time())
    claims: dict[str, Any] = {
        "ver": "2.0",
        "iss": f"{call.base}/{person.tenant}/v2.0",
        "sub": str(uuid.uuid5(uuid.UUID(person.subject), "pairwise")),
        "aud": found.client_id if found else client,
        "iat": moment,
        "nbf": moment,
        "exp": moment + 3600,
        "name": person.name,
        "preferred_username": person.email,
        "oid": person.subject,
        "tid": person.tenant,
    }
    if found and found.nonce:
        claims["nonce"] = found.nonce
    key = call.world.key
    return jwt.encode({"alg": "RS256", "kid": key.kid or "", "typ": "JWT"}, claims, key)

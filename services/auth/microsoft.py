"""Microsoft's OAuth 2.0 by msal, through the one door.

Source: learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow. A client is made for each call: it costs a third
of a millisecond, and what msal keeps is thrown away with it: tokens in the clear, and refusals, which it would repeat for a
minute without asking, when the host has long agreed again.
"""

import hashlib
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import msal
import msgspec

from libs.config.settings import Settings
from libs.contracts.events import Provider
from libs.providers.egress import Door
from libs.providers.errors import ProviderError, Unreachable
from libs.providers.oauth_http import MsalHttp
from services.auth import idtoken
from services.auth.domain import Revocation
from services.auth.oauth import Fresh, Grant, Params, Start, Suspicious, trouble

READ_WRITE: Final = "Calendars.ReadWrite"
"""The least that can insert. The grant is wider than our use: what is read is limited by the door's allow-list."""

GRAPH: Final = "https://graph.microsoft.com/"

# msal advises form_post. A cookie with SameSite=Lax does not come along with a POST from another site, and the flow is bound by it.
warnings.filterwarnings("ignore", message="response_mode=", category=UserWarning, module=r"msal\.")


class MicrosoftOAuth:
    """The OAuth port on Microsoft."""

    provider: Provider = "microsoft"

    def __init__(self, door: Door, settings: Settings) -> None:
        self._http = MsalHttp(door)
        self._settings = settings
        self._client_id = settings.microsoft_client_id or ""
        self._redirect = f"{settings.public_url}/oauth/microsoft/callback"

    def begin(self, state: str) -> Start:
        """See the port. msal adds PKCE (S256), a nonce, `openid` and `offline_access`."""
        flow = self._call(
            lambda: self._app().initiate_auth_code_flow(
                [READ_WRITE],
                redirect_uri=self._redirect,
                state=state,
                prompt="select_account",
                response_mode="query",
            )
        )
        return Start(flow["auth_uri"], msgspec.json.encode(flow))

    def check(self, params: Params) -> None:
        """See the port. Microsoft sends no `iss`; one that is there must be of the authority's host."""
        issuer = params.get("iss")
        if issuer is not None and urlsplit(issuer)[:2] != urlsplit(self._settings.microsoft_authority)[:2]:
            raise Suspicious("wrong-issuer")

    def finish(self, state: str, secrets: bytes, params: Params) -> Grant:
        """See the port."""
        flow = msgspec.json.decode(secrets)
        app = self._call(self._app)
        answer = {name: params[name] for name in ("code", "client_info", "session_state") if name in params}
        token = self._call(lambda: app.acquire_token_by_auth_code_flow(flow, {**answer, "state": state}))
        nonce = hashlib.sha256(flow["nonce"].encode("ascii")).hexdigest()
        issuer = str(app.authority._issuer or "")  # msal keeps what discovery said here, and checks nothing by it
        expected = idtoken.Expected(
            self._client_id,
            nonce,
            lambda claims: bool(claims.tid) and claims.iss == issuer.replace("{tenantid}", claims.tid),
        )
        claims = idtoken.read(str(token.get("id_token", "")), expected, datetime.now(UTC))
        if not claims.oid:
            raise Suspicious("id-token-subject")
        granted = {scope.removeprefix(GRAPH).lower() for scope in str(token.get("scope", "")).split()}
        missing = [] if READ_WRITE.lower() in granted else [READ_WRITE]
        missing += [] if token.get("refresh_token") else ["offline_access"]
        return Grant(f"{claims.tid}.{claims.oid}", _fresh(token), tuple(missing))

    def refresh(self, refresh_token: str) -> Fresh:
        """See the port. Microsoft hands out a new refresh token each time."""
        return _fresh(self._call(lambda: self._app().acquire_token_by_refresh_token(refresh_token, [READ_WRITE])))

    def revoke(self, token: str | None) -> Revocation:
        """See the port. Microsoft has no revocation for one app's grant: the host removes it on their account's page."""
        del token
        return Revocation.NOT_OFFERED

    def _app(self) -> Any:
        secret = self._settings.microsoft_client_secret
        return msal.ConfidentialClientApplication(
            self._client_id,
            client_credential=secret.get_secret_value() if secret else "",
            authority=self._settings.microsoft_authority,
            instance_discovery=None if self._settings.microsoft_instance_discovery else False,
            http_client=self._http,
            exclude_scopes=["profile"],
        )

    def _call(self, work: Callable[[], Any]) -> Any:
        """Do it, and say in our own words what went wrong: msal's texts quote tokens and claims."""
        try:
            result = work()
        except ProviderError:
            raise
        except (ValueError, RuntimeError, KeyError, TypeError):
            raise Unreachable("unreadable-answer") from None
        if isinstance(result, dict) and "error" in result:
            raise trouble(str(result["error"]))
        return result


def _fresh(token: dict[str, Any]) -> Fresh:
    try:
        ends = datetime.now(UTC) + timedelta(seconds=int(token["expires_in"]))
        return Fresh(str(token["access_token"]), token.get("refresh_token"), ends)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Unreachable("unreadable-answer") from None

"""Google's OAuth 2.0 by requests-oauthlib, through the one door.

Source: developers.google.com/identity/protocols/oauth2/web-server. The library logs codes and secrets at DEBUG (silenced in
libs/providers/oauth_http.py), has PKCE off and no time-outs by default, and raises with the token inside when scopes differ
from those it was told: so it is told none, and the scopes are compared here.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec
import requests
from oauthlib.oauth2 import OAuth2Error, WebApplicationClient
from requests_oauthlib import OAuth2Session

from libs.config.settings import Settings
from libs.contracts.events import Provider
from libs.providers.egress import Door
from libs.providers.errors import ProviderError, Unreachable
from libs.providers.oauth_http import DoorAdapter
from services.auth import idtoken
from services.auth.domain import Revocation, new_secret
from services.auth.oauth import Fresh, Grant, Params, Start, Suspicious, trouble

FREE_BUSY: Final = "https://www.googleapis.com/auth/calendar.freebusy"
EVENTS_OWNED: Final = "https://www.googleapis.com/auth/calendar.events.owned"
S = TypeVar("S", bound=requests.Session)
SCOPES: Final = ("openid", FREE_BUSY, EVENTS_OWNED)
"""`openid` alone, without email or profile, gives the account's `sub` and nothing else about the person."""

REVOKED: Final = {200: Revocation.REVOKED, 400: Revocation.NOTHING_LEFT}
ISSUERS: Final = frozenset({"https://accounts.google.com", "accounts.google.com"})


class _Secrets(msgspec.Struct, frozen=True):
    verifier: str
    nonce: str


class GoogleOAuth:
    """The OAuth port on Google."""

    provider: Provider = "google"

    def __init__(self, door: Door, settings: Settings) -> None:
        self._door = door
        self._settings = settings
        self._client_id = settings.google_client_id or ""
        self._redirect = f"{settings.public_url}/oauth/google/callback"

    def begin(self, state: str) -> Start:
        """See the port. `include_granted_scopes` is not asked for: what is granted here is what was asked here."""
        client = WebApplicationClient(self._client_id)
        session = OAuth2Session(client=client, redirect_uri=self._redirect, scope=list(SCOPES))
        secrets = _Secrets(client.create_code_verifier(96), new_secret())
        url, _ = session.authorization_url(
            self._settings.google_authorize_url,
            state=state,
            code_challenge=client.create_code_challenge(secrets.verifier, "S256"),
            code_challenge_method="S256",
            nonce=secrets.nonce,
            access_type="offline",
            prompt="consent",
        )
        return Start(url, msgspec.json.encode(secrets))

    def check(self, params: Params) -> None:
        """See the port: `iss` (RFC 9207), where it is given."""
        if params.get("iss", "https://accounts.google.com") not in ISSUERS:
            raise Suspicious("wrong-issuer")

    def finish(self, state: str, secrets: bytes, params: Params) -> Grant:
        """See the port."""
        del state  # matched before: the flow was found by it
        kept = msgspec.json.decode(secrets, type=_Secrets)
        token = self._call(
            lambda: self._session().fetch_token(
                self._settings.google_token_url,
                code=params.get("code", "") or "none",
                code_verifier=kept.verifier,
                client_secret=self._secret(),
                include_client_id=True,
            )
        )
        expected = idtoken.Expected(self._client_id, kept.nonce, lambda claims: claims.iss in ISSUERS)
        claims = idtoken.read(str(token.get("id_token", "")), expected, datetime.now(UTC))
        granted = set(_scopes(token))
        missing = [scope for scope in (FREE_BUSY, EVENTS_OWNED) if scope not in granted]
        missing += [] if token.get("refresh_token") else ["offline"]
        return Grant(claims.sub, _fresh(token), tuple(missing))

    def refresh(self, refresh_token: str) -> Fresh:
        """See the port."""
        token = self._call(
            lambda: self._session().refresh_token(
                self._settings.google_token_url,
                refresh_token=refresh_token,
                client_id=self._client_id,
                client_secret=self._secret(),
            )
        )
        return _fresh(token)

    def revoke(self, token: str | None) -> Revocation:
        """See the port. Google takes back everything this account granted to Valet; 400 says that nothing is left of it."""
        if token is None:
            return Revocation.NOTHING_LEFT
        try:
            session = self._through("oauth.revoke", requests.Session())
            answer = session.post(self._settings.google_revoke_url, data={"token": token})
        except ProviderError:
            return Revocation.NOT_REACHED
        return REVOKED.get(answer.status_code, Revocation.NOT_REACHED)

    def _session(self) -> OAuth2Session:
        return self._through("oauth.token", OAuth2Session(self._client_id, redirect_uri=self._redirect))

    def _through(self, operation: str, session: S) -> S:
        session.trust_env = False
        session.adapters.clear()
        session.mount("https://", DoorAdapter(self._door, "google", operation))
        return session

    def _call(self, work: Callable[[], Any]) -> dict[str, Any]:
        try:
            return dict(work())
        except OAuth2Error as error:
            raise trouble(error.error or "") from None
        except (ValueError, TypeError, Warning):
            raise Unreachable("unreadable-answer") from None

    def _secret(self) -> str:
        secret = self._settings.google_client_secret
        return secret.get_secret_value() if secret else ""


def _scopes(token: dict[str, Any]) -> list[str]:
    scope = token.get("scope") or []
    return scope.split() if isinstance(scope, str) else [str(one) for one in scope]


def _fresh(token: dict[str, Any]) -> Fresh:
    try:
        ends = datetime.now(UTC) + timedelta(seconds=int(token["expires_in"]))
        return Fresh(str(token["access_token"]), token.get("refresh_token"), ends)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Unreachable("unreadable-answer") from None

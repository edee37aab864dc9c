"""The clients of the tests: requests-oauthlib and msal as they come, and small helpers around plain requests."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msal
import requests
from requests_oauthlib import OAuth2Session

from deploy.sandbox.browser import callback_url
from deploy.sandbox.registrations import (
    GOOGLE_CLIENT_ID,
    GOOGLE_CLIENT_SECRET,
    MICROSOFT_CLIENT_ID,
    MICROSOFT_CLIENT_SECRET,
)

CALLBACK = "https://localhost:9/oauth/callback"
FREE_BUSY = "https://www.googleapis.com/auth/calendar.freebusy"
OWNED = "https://www.googleapis.com/auth/calendar.events.owned"
CALENDARS = ["Calendars.ReadWrite"]


def google_session(ca: str, scopes: list[str], callback: str = CALLBACK) -> OAuth2Session:
    """requests-oauthlib with PKCE."""
    session = OAuth2Session(GOOGLE_CLIENT_ID, redirect_uri=callback, scope=scopes, pkce="S256")
    session.verify = ca
    session.trust_env = False
    return session


def google_authorize(base: str, oauth: OAuth2Session, **more: str) -> str:
    """The authorize URL, asking for a refresh token."""
    options = {"access_type": "offline", "prompt": "consent", **more}
    return str(oauth.authorization_url(f"{base}/google/o/oauth2/v2/auth", **options)[0])


def google_exchange(base: str, oauth: OAuth2Session, answer: str) -> dict[str, Any]:
    """Exchange the code that came to the callback."""
    token = oauth.fetch_token(
        f"{base}/google/token",
        authorization_response=answer,
        client_secret=GOOGLE_CLIENT_SECRET,
        include_client_id=True,
        timeout=5,
    )
    return dict(token)


def msal_app(base: str, ca: str, tenant: str = "common") -> Any:
    """msal as an app would make it, but for the authority."""
    http = requests.Session()
    http.verify = ca
    http.trust_env = False
    return msal.ConfidentialClientApplication(
        MICROSOFT_CLIENT_ID,
        client_credential=MICROSOFT_CLIENT_SECRET,
        authority=f"{base}/{tenant}",
        instance_discovery=False,
        http_client=http,
    )


def msal_sign_in(app: Any, ca: str, account: str, **browser: Any) -> dict[str, Any]:
    """The whole authorization code flow of msal; its result."""
    flow = app.initiate_auth_code_flow(CALENDARS, redirect_uri=CALLBACK)
    answer = callback_url(flow["auth_uri"], account, ca, **browser)
    return dict(app.acquire_token_by_auth_code_flow(flow, query_of(answer)))


def query_of(url: str) -> dict[str, str]:
    """The query of an address, one value per name."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@dataclass
class Client:
    """Calls one provider's API with a token."""

    base: str
    ca: str
    session: requests.Session
    token: dict[str, Any]
    root: str

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        """One call below the API's root."""
        headers = {"authorization": f"Bearer {self.token['access_token']}", **more.pop("headers", {})}
        more.setdefault("timeout", 5)
        return self.session.request(
            method, self.base + self.root + path, json=body, headers=headers, allow_redirects=False, **more
        )


class Google(Client):
    """A client of Google's calendar API."""

    @classmethod
    def connected(
        cls, base: str, ca: str, session: requests.Session, account: str, scopes: list[str] | None = None
    ) -> "Google":
        """Sign in as that account."""
        oauth = google_session(ca, scopes or [FREE_BUSY, OWNED])
        token = google_exchange(base, oauth, callback_url(google_authorize(base, oauth), account, ca))
        return cls(base, ca, session, token, "/google/calendar/v3")

    def busy(self, *calendars: str, start: str = "2026-06-01T00:00:00Z", end: str = "2026-06-08T00:00:00Z") -> Any:
        """The `calendars` of a freeBusy answer."""
        items = [{"id": calendar} for calendar in calendars]
        answer = self.call("POST", "/freeBusy", {"timeMin": start, "timeMax": end, "items": items})
        assert answer.status_code == 200, answer.text
        return answer.json()["calendars"]

    def insert(self, calendar: str = "primary", **fields: Any) -> requests.Response:
        """Insert an event on 1 June 2026, from 9 to 10 unless told otherwise."""
        times = {"start": {"dateTime": "2026-06-01T09:00:00Z"}, "end": {"dateTime": "2026-06-01T10:00:00Z"}}
        return self.call("POST", f"/calendars/{calendar}/events", {**times, **fields})


class Microsoft(Client):
    """A client of Graph."""

    @classmethod
    def connected(cls, base: str, ca: str, session: requests.Session, account: str) -> "Microsoft":
        """Sign in as that account."""
        return cls(base, ca, session, msal_sign_in(msal_app(base, ca), ca, account), "/graph/v1.0")

    def view(self, calendar: str = "/me/calendar", **query: str) -> requests.Response:
        """calendarView of the first week of June 2026."""
        window = {"startDateTime": "2026-06-01T00:00:00Z", "endDateTime": "2026-06-08T00:00:00Z"}
        prefer = {"prefer": 'outlook.timezone="UTC", IdType="ImmutableId"'}
        return self.call("GET", f"{calendar}/calendarView", params={**window, **query}, headers=prefer)

    def create(self, path: str = "/me/calendar/events", **fields: Any) -> requests.Response:
        """Create an event on 1 June 2026, from 9 to 10 unless told otherwise."""
        times = {
            name: {"dateTime": f"2026-06-01T{hour}:00:00", "timeZone": "UTC"}
            for name, hour in (("start", "09"), ("end", "10"))
        }
        return self.call("POST", path, {**times, **fields}, headers={"prefer": 'IdType="ImmutableId"'})

"""One handle for three kinds of calendar, so that one suite judges them all: the double, and the real clients on the sandbox."""

import base64
import hashlib
import itertools
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Protocol
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

from deploy.sandbox.browser import callback_url
from deploy.sandbox.client import SandboxAdmin
from deploy.sandbox.registrations import (
    GOOGLE_CLIENT_ID,
    GOOGLE_CLIENT_SECRET,
    MICROSOFT_CLIENT_ID,
    MICROSOFT_CLIENT_SECRET,
)
from libs.config.settings import Settings
from libs.providers.egress import Door
from libs.providers.errors import ProviderError, RateLimited, Unreachable
from libs.providers.google import GoogleCalendar
from libs.providers.ids import google_event_id, mark, transaction_id
from libs.providers.microsoft import MicrosoftCalendar
from libs.providers.port import Calendar, Entry
from libs.testing.calendars import CalendarDouble

DAY = datetime(2030, 5, 6, tzinfo=UTC)
SECRET = b"a made-up secret for tests......"
PAUSE = 7
_people = itertools.count(1)
GOOGLE_SCOPES = (
    "https://www.googleapis.com/auth/calendar.freebusy https://www.googleapis.com/auth/calendar.events.owned"
)


def at(hour: float) -> datetime:
    """That hour of the test's day, in UTC."""
    return DAY + timedelta(hours=hour)


def entry(start: datetime, end: datetime, booking: str = "bk_a", **changes: Any) -> Entry:
    """A booking as it should stand."""
    made = Entry(
        event_id=google_event_id(SECRET, booking, "primary", 1),
        transaction_id=transaction_id(SECRET, booking, "primary", 1),
        mark=mark(SECRET, booking, "primary", 1),
        start=start,
        end=end,
        title="Ada Example",
        description="Booked through Valet",
    )
    return replace(made, **changes)


@dataclass(frozen=True)
class Seen:
    """An entry of Valet's as the calendar itself shows it."""

    start: datetime
    end: datetime
    title: str


class Rig(Protocol):
    """A calendar under test, with what its owner and the weather can do to it."""

    token: str
    calendar: str

    @property
    def port(self) -> Calendar: ...

    def outside(self, start: datetime, end: datetime) -> str: ...

    def foreign(self, like: Entry) -> Entry:
        """Put an entry of the host's own where ours would go; the entry as we would ask for it."""
        ...

    def ours(self) -> list[Seen]: ...

    def outsiders(self) -> list[tuple[datetime, datetime]]: ...

    def created(self) -> int: ...

    def host_deletes(self, placed_id: str, placed: Entry) -> None: ...

    def fault(self, operation: str, kind: str) -> None:
        """`operation`: busy, put or remove. `kind`: lost-answer, lost-request, garbage, busy-signal, broken or expired."""
        ...


class DoubleRig:
    """The in-memory double."""

    calendar = "primary"
    token = "made-up"

    def __init__(self) -> None:
        self.port = CalendarDouble()
        self.port.add_calendar(self.calendar, self.token)

    def outside(self, start: datetime, end: datetime) -> str:
        return self.port.add_outside(self.calendar, start, end)

    def foreign(self, like: Entry) -> Entry:
        self.port.add_outside(self.calendar, at(1), at(2), like.event_id)
        return like

    def ours(self) -> list[Seen]:
        return [Seen(s.span.start, s.span.end, s.title) for s in self.port.entries(self.calendar)]

    def outsiders(self) -> list[tuple[datetime, datetime]]:
        return self.port.outsiders(self.calendar)

    def created(self) -> int:
        return self.port.created

    def host_deletes(self, placed_id: str, placed: Entry) -> None:
        self.port.delete_as_host(self.calendar, placed)

    def fault(self, operation: Any, kind: str) -> None:
        errors: dict[str, ProviderError] = {
            "lost-answer": Unreachable("timed-out"),
            "garbage": Unreachable("unreadable-answer"),
            "lost-request": Unreachable("timed-out"),
            "broken": Unreachable("double-503"),
            "busy-signal": RateLimited("double-429", PAUSE),
        }
        if kind == "expired":
            self.port.expire(self.token)
        else:
            self.port.fail(operation, errors[kind], "after" if kind in ("lost-answer", "garbage") else "before")


class SandboxRig:
    """A client of ours against the sandbox."""

    calendar = "primary"
    provider: Any
    port: Calendar
    title: str
    operations: ClassVar[dict[str, str]]

    def __init__(self, admin: SandboxAdmin, settings: Settings) -> None:
        self.admin = admin
        self.ca = str(settings.ca_bundle)
        self.email = f"ada.example{next(_people)}@example.com"
        admin.create_account(self.provider, self.email, calendars=["Second"])
        self.settings = settings
        self.door = Door(settings)
        self.token = self.sign_in()

    def sign_in(self) -> str:
        raise NotImplementedError

    def outside(self, start: datetime, end: datetime, **more: Any) -> str:
        return self.admin.add_event(self.provider, self.email, start, end, title="A private matter", **more)

    def _events(self) -> list[dict[str, Any]]:
        return [e for e in self.admin.events(self.provider, self.email) if not e["cancelled"]]

    def ours(self) -> list[Seen]:
        mine = [e for e in self._events() if e["origin"] == "api" and e["properties"]]
        return [Seen(_time(e["start"]), _time(e["end"]), e["raw"][self.title]) for e in mine]

    def outsiders(self) -> list[tuple[datetime, datetime]]:
        return [(_time(e["start"]), _time(e["end"])) for e in self._events() if not e["properties"]]

    def created(self) -> int:
        return sum(c["created"] for c in self.admin.account(self.provider, self.email)["calendars"])

    def host_deletes(self, placed_id: str, placed: Entry) -> None:
        self.admin.delete_event(self.provider, self.email, placed_id)

    def fault(self, operation: str, kind: str) -> None:
        if kind == "expired":
            self.admin.expire_access_tokens(self.provider, self.email)
            return
        more: dict[str, Any] = {
            "lost-answer": {"kind": "timeout-after", "seconds": 5},
            "lost-request": {"kind": "timeout-before", "seconds": 5},
            "garbage": {"kind": "garbage", "effect": True},
            "broken": {"kind": "status", "status": 503},
            "busy-signal": {"kind": "status", "status": 429, "retry_after": PAUSE},
        }[kind]
        self.admin.add_fault(self.operations[operation], count=1, account=self.email, **more)

    def exchange(self, authorize: str, token_url: str, query: dict[str, str], secret: str) -> str:
        """An access token by the code flow, played by hand."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        back = "https://localhost/callback"
        asked = {**query, "response_type": "code", "redirect_uri": back, "code_challenge": challenge}
        url = f"{authorize}?{urlencode({**asked, 'code_challenge_method': 'S256', 'state': 's'})}"
        code = parse_qs(urlsplit(callback_url(url, self.email, self.ca)).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": back, "code_verifier": verifier}
        form |= {"client_id": query["client_id"], "client_secret": secret}
        return str(requests.post(token_url, form, verify=self.ca, timeout=10).json()["access_token"])


class GoogleRig(SandboxRig):
    """Google's client on the sandbox."""

    provider = "google"
    title = "summary"
    operations: ClassVar = {
        "busy": "google.freeBusy",
        "put": "google.events.insert",
        "remove": "google.events.delete",
    }

    def __init__(self, admin: SandboxAdmin, settings: Settings) -> None:
        super().__init__(admin, settings)
        self.port = GoogleCalendar(self.door, settings)

    def sign_in(self) -> str:
        query = {"client_id": GOOGLE_CLIENT_ID, "scope": GOOGLE_SCOPES}
        return self.exchange(
            self.settings.google_authorize_url, self.settings.google_token_url, query, GOOGLE_CLIENT_SECRET
        )

    def foreign(self, like: Entry) -> Entry:
        body = {"id": like.event_id, "summary": "Not Valet's"}
        times = {"start": {"dateTime": at(1).isoformat()}, "end": {"dateTime": at(2).isoformat()}}
        url = f"{self.settings.google_api_url}/calendars/primary/events"
        bearer = {"Authorization": f"Bearer {self.token}"}
        answer = requests.post(url, json={**body, **times}, headers=bearer, verify=self.ca, timeout=10)
        assert answer.status_code == 200
        return like


class MicrosoftRig(SandboxRig):
    """Graph's client on the sandbox."""

    provider = "microsoft"
    title = "subject"
    operations: ClassVar = {
        "busy": "microsoft.calendarView",
        "put": "microsoft.events.create",
        "remove": "microsoft.events.delete",
    }

    def __init__(self, admin: SandboxAdmin, settings: Settings) -> None:
        super().__init__(admin, settings)
        self.port = MicrosoftCalendar(self.door, settings)

    def sign_in(self) -> str:
        root = f"{self.settings.microsoft_authority}/oauth2/v2.0"
        query = {"client_id": MICROSOFT_CLIENT_ID, "scope": "openid offline_access Calendars.ReadWrite"}
        return self.exchange(f"{root}/authorize", f"{root}/token", query, MICROSOFT_CLIENT_SECRET)

    def foreign(self, like: Entry) -> Entry:
        return replace(like, remote_id=self.outside(at(1), at(2)))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)

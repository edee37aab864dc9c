"""The real clients on the sandbox, with what its admin API can do to their calendars."""

import base64
import hashlib
import itertools
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar
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
from libs.providers.google import GoogleCalendar
from libs.providers.microsoft import MicrosoftCalendar
from libs.providers.port import Calendar, Entry
from tests.contract.providers.rigs import PAUSE, Seen, at

EMPTY = {"contentType": "text", "content": ""}
_people = itertools.count(1)
GOOGLE_SCOPES = (
    "https://www.googleapis.com/auth/calendar.freebusy https://www.googleapis.com/auth/calendar.events.owned"
)


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

    def in_bin(self) -> list[str]:
        account = self.admin.account(self.provider, self.email)
        gone = [e["raw"] for e in (*account["events"], *account["bin"]) if e["cancelled"] or e in account["bin"]]
        texts = [text for raw in gone for text in (raw.get(self.title), raw.get("description"), raw.get("body"))]
        return [text if isinstance(text, str) else text["content"] for text in texts if text and text != EMPTY]

    def created(self) -> int:
        return sum(c["created"] for c in self.admin.account(self.provider, self.email)["calendars"])

    def host_deletes(self, placed_id: str, placed: Entry) -> None:
        self.admin.delete_event(self.provider, self.email, placed_id)

    def host_moves(self, placed_id: str, placed: Entry, start: datetime, end: datetime) -> None:
        self.admin.change_event(self.provider, self.email, placed_id, start=start, end=end)

    def host_makes_all_day(self, placed_id: str, placed: Entry) -> None:
        days = {"start": at(0).date().isoformat(), "end": at(24).date().isoformat(), "all_day": True}
        self.admin.change_event(self.provider, self.email, placed_id, **days)

    def host_moves_away(self, placed_id: str, placed: Entry) -> None:
        second = self.admin.account(self.provider, self.email)["calendars"][1]["id"]
        self.admin.change_event(self.provider, self.email, placed_id, calendar=second)

    def duplicate(self, like: Entry) -> str:
        raise NotImplementedError

    def fault(self, operation: str, kind: str) -> None:
        if kind == "expired":
            self.admin.expire_access_tokens(self.provider, self.email)
            return
        kinds: dict[str, dict[str, Any]] = {
            "lost-answer": {"kind": "timeout-after", "seconds": 5},
            "lost-request": {"kind": "timeout-before", "seconds": 5},
            "dropped-answer": {"kind": "drop-after"},
            "dropped-request": {"kind": "drop-before"},
            "garbage": {"kind": "garbage", "effect": True},
            "broken": {"kind": "status", "status": 503},
            "not-offered": {"kind": "status", "status": 501},
            "refused": {"kind": "status", "status": 403, "reason": "forbiddenForNonOrganizer"},
            "half-broken": {"kind": "status", "status": 503, "effect": True},
            "busy-signal": {"kind": "status", "status": 429, "retry_after": PAUSE},
        }
        self.admin.add_fault(self.operations[operation], count=1, account=self.email, **kinds[kind])

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
        "patch": "google.events.patch",
        "remove": "google.events.delete",
        "purge": "google.events.patch",
        "look": "google.events.get",
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
        "patch": "microsoft.events.patch",
        "remove": "microsoft.events.delete",
        "discard": "microsoft.events.delete",
        "purge": "microsoft.events.purge",
        "look": "microsoft.events.list",
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

    def duplicate(self, like: Entry) -> str:
        # A create repeated after Graph has forgotten its transactionId, by somebody who remembers no first try.
        self.admin.settings(transaction_id_seconds=0)
        return self.port.put(self.token, self.calendar, replace(like, remote_id=None, tried_before=False)).remote_id


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)

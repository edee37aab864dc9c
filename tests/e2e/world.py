"""The world around Valet, as an end-to-end test sees it: hosts who connect, a service that emits, calendars to look into."""

import json
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from amqp import Channel

from deploy.local.stack import Stack
from deploy.sandbox import browser
from deploy.sandbox.accounts import Provider
from deploy.sandbox.client import SandboxAdmin
from libs.contracts import codec
from libs.messaging.dead import DeadLetter
from libs.messaging.link import Link
from libs.messaging.publisher import Outgoing, Publisher
from libs.messaging.rpc import Ask
from libs.messaging.tap import Tap
from tests.conftest import settings_of

SOURCE = "urn:example:shop"
OUTCOMES = ("booking-confirmed", "booking-rejected", "booking-cancelled")


@dataclass
class Heard:
    """What was heard on the bus."""

    events: list[dict[str, Any]] = field(default_factory=list)

    def of(self, *types: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] in types]

    def outcome(self, request: str) -> dict[str, Any] | None:
        """The outcome of a request, by its id."""
        return next((e for e in self.of(*OUTCOMES) if e["data"]["request"]["id"] == request), None)

    def outcomes(self, requests: Sequence[dict[str, Any]]) -> Counter[tuple[str, str | None]]:
        """How many distinct outcomes of each kind these requests had."""
        asked = {request["id"] for request in requests}
        mine = [e for e in self.of(*OUTCOMES) if e["data"]["request"]["id"] in asked]
        return Counter({e["id"]: (e["type"], e["data"].get("reason")) for e in mine}.values())

    def confirmed(self, requests: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """The bookings that these requests became."""
        asked = {request["id"] for request in requests}
        facts = [e["data"] for e in self.of("booking-confirmed")]
        return {fact["booking"]: fact for fact in facts if fact["request"]["id"] in asked}

    def written(self) -> set[str]:
        """The bookings that stand in their calendars."""
        return {e["data"]["booking"] for e in self.of("calendar-event-written")}


class World:
    """A stack with hosts, and an emitter of requests."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.operator = settings_of(stack, "operator")
        self.ca = str(self.operator.ca_bundle)
        self.sandbox = SandboxAdmin(stack.urls()["sandbox"], self.ca)
        self.link = Link(self.operator, "tests.world")
        self.ask = Ask(self.link, 10)
        self.emitter = Publisher(Link(settings_of(stack, "emitter"), "tests.emitter"), 10)

    def connect(self, host: str, provider: Provider) -> str:
        """Have a host connect a fresh calendar; its account."""
        account = f"{host}@example.com"
        self.sandbox.create_account(provider, account)
        url = self.ask("auth", "connect_link", host, provider)["url"]
        page = browser.approve(url, account, self.ca)
        assert page.status_code == 200, page.text
        return account

    def tap(self, *keys: str) -> Tap:
        """Listen from now on."""
        return Tap(self.link, keys or ("#",))

    def request(self, host: str, start: datetime, minutes: int = 30, /, **changes: Any) -> dict[str, Any]:
        """A booking request as a CloudEvent."""
        data: dict[str, Any] = {
            "host": host,
            "start": start.isoformat(),
            "end": (start + timedelta(minutes=minutes)).isoformat(),
            "invitee": {
                "name": "Ada Example",
                "email": "ada@example.com",
                "time_zone": "America/New_York",
                "fields": {},
            },
        }
        event_id = changes.pop("id", uuid.uuid4().hex)
        data |= changes
        return envelope("booking-requested", data, event_id)

    def emit(self, events: Sequence[dict[str, Any]]) -> None:
        """Publish as another service would."""
        messages = [
            Outgoing("events", event["type"], json.dumps(event).encode(), codec.STRUCTURED, mandatory=True)
            for event in events
        ]
        self.emitter.publish(messages)

    def journeys(self, bookings: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What Valet says became of bookings."""
        found: dict[str, dict[str, Any]] = self.ask("booking", "journeys", list(bookings))
        return found

    def entries(self, provider: Provider, account: str) -> list[dict[str, Any]]:
        """The entries in a calendar that Valet wrote and that stand."""
        return [event for event in self.sandbox.events(provider, account, raw=True) if ours(event)]


def ours(event: dict[str, Any]) -> bool:
    """Whether an entry was written through the API and stands."""
    return event["origin"] == "api" and not event["cancelled"]


def envelope(kind: str, data: Any, event_id: str | None = None, **attributes: Any) -> dict[str, Any]:
    """A CloudEvent of the test's emitter."""
    return {
        "specversion": "1.0",
        "id": event_id or uuid.uuid4().hex,
        "source": SOURCE,
        "type": kind,
        "time": datetime.now(UTC).isoformat(),
        "datacontenttype": "application/json",
        "data": data,
        **attributes,
    }


def hear(tap: Tap, heard: Heard, until: Any, seconds: float) -> bool:
    """Listen until `until(heard)` holds or the time is over."""
    deadline = time.monotonic() + seconds
    while not until(heard):
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        for event in tap.events(min(left, 0.3)):
            attributes = {name: getattr(event, name) for name in ("id", "source", "type", "subject", "traceparent")}
            heard.events.append(attributes | {"data": json.loads(bytes(event.data))})
    return True


def tomorrow(hour: int = 9, days: int = 2) -> datetime:
    """An instant on the grid, safely in the future."""
    return datetime.now(UTC).replace(hour=hour, minute=0, second=0, microsecond=0) + timedelta(days=days)


def dead_letters(world: World, wait: float = 0) -> list[DeadLetter]:
    """Take what waits in booking's dead letters."""
    found: list[DeadLetter] = []
    deadline = time.monotonic() + wait
    connection = world.link.open()
    channel: Channel = connection.connection.channel()
    while True:
        message = channel.basic_get("dead-letters.booking", no_ack=True)
        if message is not None:
            found.append(msgspec.json.decode(message.body, type=DeadLetter))
        elif found or time.monotonic() >= deadline:
            connection.release()
            return found
        else:
            time.sleep(0.1)

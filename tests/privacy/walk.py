"""Somebody who walks the paths of a stack with canaries, and hears all that is said of it: what every path needs."""

import json
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import msgspec
import requests
from amqp import Message
from kombu import Connection

from deploy.sandbox import browser
from deploy.sandbox.accounts import Provider
from libs.crypto.envelopes import seal_for
from libs.messaging.dead import DeadLetter
from libs.messaging.letters import Letters
from libs.messaging.link import Link
from libs.messaging.publisher import Publisher
from libs.messaging.tap import Tap
from tests.e2e.world import World, envelope, tomorrow
from tests.privacy.canaries import Canaries
from tests.privacy.ground import Ground

PROVIDERS: Sequence[Provider] = ("google", "microsoft")
PATIENCE = 120.0  # seconds; nothing here takes as long on a machine that is not busy
SETTLED = ("calendar-event-written", "calendar-event-removed", "calendar-write-failed")


class Ear(Tap):
    """Hears all that is said on the bus, and keeps it as it came."""

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self.raw: list[bytes] = []
        self.facts: list[dict[str, Any]] = []

    def until(self, true: Callable[[list[dict[str, Any]]], object], what: str, seconds: float = PATIENCE) -> None:
        """Listen until it holds of the events heard. TimeoutError, with what was waited for."""
        deadline = time.monotonic() + seconds
        while not true(self.facts):
            if time.monotonic() > deadline:
                heard = [(fact["type"], fact["data"].get("reason")) for fact in self.facts[-12:]]
                raise TimeoutError(f"{what}: not within {seconds:g} s; last heard: {heard}")
            self.hear(0.2)

    def hear(self, seconds: float) -> None:
        """Listen for so long."""
        for event in self.events(seconds):
            self.facts.append({"type": event.type, "id": event.id, "data": json.loads(bytes(event.data))})

    def _arrived(self, message: Message) -> None:
        body = message.body if isinstance(message.body, bytes) else str(message.body).encode()
        self.raw.append(body + repr(message.properties).encode())
        super()._arrived(message)


class Patient(Link):
    """A connection that is not lost when nobody looks at it for a while."""

    def open(self, heartbeat: int = 0, within: float | None = None) -> Connection:
        """Without heartbeats."""
        return super().open(0, within)


class Walk:
    """One walk along all paths with one set of canaries."""

    def __init__(self, ground: Ground, canaries: Canaries, *, sealed: bool) -> None:
        self.ground, self.canaries, self.sealed = ground, canaries, sealed
        self.world = World(ground.stack)
        self.ear = Ear(Patient(self.world.operator, "tests.ear"))
        self.late: list[dict[str, Any]] = []
        self.hosts: dict[Provider, str] = {p: f"dr-{uuid.uuid4().hex[:8]}" for p in PROVIDERS}
        self._slots = iter(range(10_000))
        self._keys = self.world.ask("booking", "public_keys")

    def finish(self) -> None:
        """Wait for what was put off on the way, and for the last events."""
        self.outcomes(self.late, "booking-confirmed", "booking-rejected")
        self.ear.hear(1)  # what follows of itself

    def close(self) -> None:
        """Stop listening."""
        self.ear.close()
        self.world.ask.close()
        self.world.emitter.close()

    def account(self, provider: Provider) -> str:
        """The address of a host's account."""
        return f"{self.canaries('account')}@{provider}.example.com"

    def request(self, host: str, content: Any = None, **changes: Any) -> dict[str, Any]:
        """A request for the next free time: sealed, or plain where nothing is sealed."""
        person: dict[str, Any] = {"invitee": self.canaries.invitee(), "title": f"{self.canaries('title')} talk"}
        start = tomorrow(8) + timedelta(minutes=30 * next(self._slots))
        data = {"host": host, "start": start.isoformat(), "end": (start + timedelta(minutes=30)).isoformat()}
        return envelope("booking-requested", data | self.hidden(person if content is None else content) | changes)

    def hidden(self, content: Any) -> dict[str, Any]:
        """What is personal, as an emitter sends it."""
        if self.sealed:
            return {"sealed": seal_for(self._keys, msgspec.json.encode(content))}
        return content if isinstance(content, dict) else {"invitee": content}

    def book(self, requests_: Iterable[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
        """Send requests, and wait until each has an outcome of these kinds. The outcomes."""
        asked = list(requests_)
        self.world.emit(asked)
        return self.outcomes(asked, *kinds)

    def outcomes(self, asked: Sequence[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
        """The outcomes of requests, when all have one."""
        ids = {request["id"] for request in asked}

        def of(facts: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
            named = [fact["data"] for fact in facts if fact["type"] in kinds]
            return {data["request"]["id"]: data for data in named if data["request"]["id"] in ids}

        self.ear.until(lambda facts: of(facts).keys() == ids, f"{len(ids)} of {' or '.join(kinds)}")
        return list(of(self.ear.facts).values())

    def settled(self, bookings: Sequence[dict[str, Any]], *kinds: str) -> None:
        """Wait until the calendars of these bookings are as they must be."""
        ids = {booking["booking"] for booking in bookings}
        self.ear.until(
            lambda facts: ids <= {f["data"].get("booking") for f in facts if f["type"] in (kinds or SETTLED)},
            f"{len(ids)} entries in calendars",
        )

    def confirmed(self, *hosts: str) -> list[dict[str, Any]]:
        """Bookings that stand in their calendars, one for each host."""
        bookings = self.book([self.request(host) for host in hosts], "booking-confirmed")
        self.settled(bookings)
        return bookings

    def depth(self, *queues: str) -> int:
        """How many messages lie in queues."""
        connection = self.world.link.open()
        channel = connection.connection.channel()
        counts = [int(channel.queue_declare(queue, passive=True).message_count) for queue in queues]
        connection.release()
        return sum(counts)

    def wait(self, true: Callable[[], object], what: str) -> None:
        """Wait for a condition. TimeoutError."""
        deadline = time.monotonic() + PATIENCE
        while not true():
            if time.monotonic() > deadline:
                raise TimeoutError(what)
            self.ear.hear(0.05)

    def letters(self) -> Letters:
        """Dead letters, as an operator has them."""
        return Letters(self.world.link, Publisher(self.world.link, 10), ("booking", "calendar-writer"))

    def connects(self, provider: Provider) -> bool:
        """Whether a host gets through connecting."""
        url = self.world.ask("auth", "connect_link", self.hosts[provider], provider)["url"]
        with suppress(browser.BrowserError):
            return browser.approve(url, self.account(provider), self.world.ca).status_code == 200
        return False

    def kept_letters(self) -> list[DeadLetter]:
        """The dead letters that lie there, as they lie."""
        return [one.letter for one in self.letters().look(10_000).letters if one.letter]

    def page(self, method: str, path: str, **more: Any) -> int:
        """Ask one of the hosts' pages, as a browser."""
        url = self.ground.stack.urls()["pages"] + path
        return requests.request(
            method, url, verify=self.world.ca, timeout=20, allow_redirects=False, **more
        ).status_code

    def metrics(self) -> bytes:
        """What every service says at /metrics."""
        probes = [url for name, url in self.ground.stack.urls().items() if name.startswith("probes-")]
        return b"".join(requests.get(f"{url}/metrics", verify=self.world.ca, timeout=20).content for url in probes)

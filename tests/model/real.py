"""A life on the real stack: RabbitMQ, mongod, the four services as processes, and the sandbox in place of the providers."""

import re
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.sandbox.accounts import Provider
from deploy.sandbox.client import SandboxError
from tests.e2e.world import Heard, World, envelope, hear, ours, tomorrow
from tests.model.life import Asked, End, Place, Said, Span, faults

CELL = timedelta(minutes=30)
PATIENCE = 150.0  # seconds: a hold on an unreadable calendar takes its time
CHANGED = ("booking-cancelled", "booking-rescheduled", "change-refused")
SERVICES = ("booking", "availability", "auth", "calendar-writer")
OPERATIONS: dict[Provider, tuple[str, ...]] = {
    "google": ("events.insert", "events.patch", "events.delete", "events.get", "freeBusy"),
    "microsoft": ("events.create", "events.patch", "events.delete", "events.list", "calendarView"),
}
KINDS: tuple[dict[str, Any], ...] = (
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 429, "retry_after": 1},
    {"kind": "drop-before"},
    {"kind": "drop-after"},
    {"kind": "truncated"},
    {"kind": "garbage", "effect": True},
)


class RealLife:
    """See `Life`. Each has hosts, and so calendars, of its own."""

    def __init__(self, world: World, kills: bool = False) -> None:
        self._world, self._kills = world, kills
        self._run = uuid.uuid4().hex[:8]
        self._providers: dict[str, Provider] = {f"life-g-{self._run}": "google", f"life-m-{self._run}": "microsoft"}
        self.hosts: Sequence[str] = list(self._providers)
        self._accounts = {host: world.connect(host, provider) for host, provider in self._providers.items()}
        self._nine = tomorrow(9)
        self._sent: dict[str, dict[str, Any]] = {}
        self._asked: list[Asked] = []
        self._outside: dict[str, list[Span]] = {host: [] for host in self.hosts}
        self._moved: dict[str, Span] = {}
        self._deleted: set[str] = set()
        self._heard = Heard()
        self._tap = world.tap()

    def request(self, key: str, host: str, cell: int, cells: int) -> None:
        start, end = self._span(cell, cells)
        asked = Asked(key, "booking", host, (start, end), busy=tuple(self._outside[host]))
        minutes = int((end - start).total_seconds() // 60)
        self._send(asked, self._world.request(host, start, minutes, id=self._id(key)))

    def cancel(self, key: str, of: str) -> None:
        if booking := self._booking(of):
            asked = Asked(key, "cancellation", self._host(of), of=of)
            self._send(asked, envelope("cancellation-requested", {"booking": booking}, self._id(key)))

    def move(self, key: str, of: str, cell: int, cells: int) -> None:
        if booking := self._booking(of):
            start, end = self._span(cell, cells)
            asked = Asked(key, "reschedule", self._host(of), (start, end), of, self._apart(of))
            data = {"booking": booking, "start": start.isoformat(), "end": end.isoformat()}
            self._send(asked, envelope("reschedule-requested", data, self._id(key)))

    def again(self, key: str) -> None:
        if key in self._sent:
            self._world.emit([self._sent[key]])

    def host_adds(self, host: str, cell: int, cells: int) -> None:
        span = self._span(cell, cells)
        self._world.sandbox.add_event(self._providers[host], self._accounts[host], *span, title="Made-up meeting")
        self._outside[host].append(span)

    def host_moves(self, of: str, cell: int) -> None:
        entry = self._entry(of)
        if entry is not None:
            start, end = self._span(cell, 1)
            host = self._host(of)
            try:
                self._world.sandbox.change_event(
                    self._providers[host], self._accounts[host], entry["id"], start=start, end=end
                )
            except SandboxError:  # Valet has removed it this very moment
                return
            self._moved[_booking_of(entry)] = (start, end)

    def host_deletes(self, of: str) -> None:
        entry = self._entry(of)
        if entry is not None:
            host = self._host(of)
            try:
                self._world.sandbox.delete_event(self._providers[host], self._accounts[host], entry["id"])
            except SandboxError:
                return
            self._deleted.add(_booking_of(entry))

    def trouble(self, kind: int, where: int) -> None:
        if self._kills and kind >= len(KINDS):
            self._world.stack.kill(SERVICES[where % len(SERVICES)])
            self._world.stack.start()
            return
        host = self.hosts[where % 2]
        provider = self._providers[host]
        operations = OPERATIONS[provider]
        operation = f"{provider}.{operations[where % len(operations)]}"
        self._world.sandbox.add_fault(operation, account=self._accounts[host], count=1, **KINDS[kind % len(KINDS)])

    def goes_on(self, steps: Sequence[int]) -> None:
        hear(self._tap, self._heard, lambda _: False, len(steps) / 10)

    def settle(self) -> End:
        self._world.sandbox.clear_faults()
        deadline = time.monotonic() + PATIENCE
        end = self._end()
        while faults(end) and time.monotonic() < deadline:
            hear(self._tap, self._heard, lambda _: False, 0.5)
            for host in self.hosts:
                self._world.ask("calendar-writer", "reconcile", host)
            end = self._end()
        self._tap.close()
        return end

    def standing(self) -> Mapping[str, Place]:
        journeys = self._world.journeys({one.booking for one in self._said() if one.booking})
        return {id: (j["host"], _span(j)) for id, j in journeys.items() if j and j["state"] == "confirmed"}

    def _end(self) -> End:
        hear(self._tap, self._heard, lambda _: False, 0.2)
        return End(
            self._asked,
            self._said(),
            self.standing(),
            [(host, _booking_of(entry), _span(entry)) for host in self.hosts for entry in self._entries(host)],
            self._moved,
            self._deleted,
        )

    def _said(self) -> list[Said]:
        """The outcomes of this life's requests: of each request the first kind, and of each change its own."""
        said: dict[str, Said] = {}
        for event in self._heard.of("booking-confirmed", "booking-rejected", *CHANGED):
            data = event["data"]
            answered = data.get("change") if event["type"] in CHANGED[:2] else data["request"]
            if answered and answered["id"].startswith(self._run):
                key = answered["id"].removeprefix(self._run)
                span = _span(data) if "start" in data else None
                said[event["id"]] = Said(event["type"], key, data.get("booking"), data.get("reason"), span)
        return list(said.values())

    def _send(self, asked: Asked, event: dict[str, Any]) -> None:
        self._asked.append(asked)
        self._sent[asked.key] = event
        self._world.emit([event])

    def _booking(self, of: str) -> str | None:
        """The booking that a request became; waits a moment for its outcome."""
        id = self._id(of)
        hear(self._tap, self._heard, lambda heard: heard.outcome(id) is not None, 5)
        outcome = self._heard.outcome(id)
        return outcome["data"]["booking"] if outcome else None

    def _entry(self, of: str) -> dict[str, Any] | None:
        booking = self._booking(of)
        host = self._host(of)
        return next((entry for entry in self._entries(host) if _booking_of(entry) == booking), None)

    def _entries(self, host: str) -> list[dict[str, Any]]:
        entries = self._world.sandbox.events(self._providers[host], self._accounts[host])
        return [entry for entry in entries if ours(entry)]

    def _apart(self, of: str) -> tuple[Span, ...]:
        """The host's own entries, but for those at a time this booking ever had: what lies under Valet's own entry cannot
        be told from it where a provider gives merged times."""
        had = [one.span for one in self._asked if one.span and of in (one.key, one.of)]
        return tuple(s for s in self._outside[self._host(of)] if not any(s[0] < b and a < s[1] for a, b in had))

    def _host(self, of: str) -> str:
        return next(asked.host for asked in self._asked if asked.key == of)

    def _id(self, key: str) -> str:
        return f"{self._run}{key}"

    def _span(self, cell: int, cells: int) -> Span:
        start = self._nine + cell * CELL
        return start, start + cells * CELL


def _booking_of(entry: dict[str, Any]) -> str:
    text = entry["raw"].get("description") or entry["raw"].get("body", {}).get("content", "")
    found = re.search(r"bk_[a-z2-7]{26}", text)
    return found[0] if found else f"no booking in entry {entry['id']}"


def _span(times: dict[str, Any]) -> Span:
    start, end = (datetime.fromisoformat(times[name]).astimezone(UTC) for name in ("start", "end"))
    return start, end

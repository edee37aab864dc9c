"""Calendars and their events, indexed so that an insert and a look at a few weeks cost the same however full one is."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from deploy.sandbox.times import now

BIN_HOLDS: Final = 1000
DAYS_INDEXED: Final = 400  # an event longer than this is kept aside instead of in each of its days
Origin = Literal["api", "outside"]
_serial = itertools.count(1)


@dataclass(slots=True, eq=False)
class Event:
    """One event. `fields` holds the provider's own resource as it was written; the rest is what the sandbox reasons with."""

    id: str
    start: datetime
    end: datetime
    fields: dict[str, Any]
    properties: dict[str, str] = field(default_factory=dict)
    origin: Origin = "api"
    cancelled: bool = False
    version: int = 1
    created: datetime = field(default_factory=now)
    updated: datetime = field(default_factory=now)
    serial: int = field(default_factory=lambda: next(_serial))

    def touch(self) -> None:
        """Note a change: a new version (and so a new etag) and a new time of update."""
        self.version += 1
        self.updated = now()


@dataclass(slots=True, eq=False)
class Calendar:
    """One calendar of an account. `created` counts the events written through the provider's API, ever.

    `bin` has the last of what was deleted, where the provider does not keep that in the calendar itself (Microsoft).
    """

    id: str
    name: str
    role: str = "owner"
    events: dict[str, Event] = field(default_factory=dict)
    created: int = 0
    notifications: list[dict[str, str]] = field(default_factory=list)
    bin: dict[str, Event] = field(default_factory=dict)
    _days: dict[int, dict[str, Event]] = field(default_factory=dict)
    _long: dict[str, Event] = field(default_factory=dict)
    _properties: dict[tuple[str, str], dict[str, Event]] = field(default_factory=dict)

    def add(self, event: Event) -> Event:
        """Put a new event in."""
        self.events[event.id] = event
        self.created += event.origin == "api"
        self._index(event)
        return event

    def change(self, event: Event, start: datetime, end: datetime, properties: dict[str, str]) -> None:
        """Move an event, and set its extended properties."""
        self._unindex(event)
        event.start, event.end, event.properties = start, end, properties
        self._index(event)
        event.touch()

    def remove(self, event: Event) -> None:
        """Take an event out altogether (Microsoft's way; Google keeps it as cancelled)."""
        self._unindex(event)
        del self.events[event.id]

    def throw_away(self, event: Event) -> None:
        """Take an event out, into the bin."""
        self.remove(event)
        self.bin[event.id] = event
        while len(self.bin) > BIN_HOLDS:
            del self.bin[next(iter(self.bin))]

    def hand_over(self, event: Event, there: "Calendar", *, leaves_trace: bool) -> None:
        """Move an event to another calendar of the same account; with Google it can still be read here, as cancelled."""
        self.remove(event)
        if leaves_trace:
            fields = {**event.fields, "status": "cancelled"}
            trace = replace(event, fields=fields, cancelled=True, version=event.version + 1, updated=now())
            self.events[event.id] = trace
            self._index(trace)
        there.events[event.id] = event
        there._index(event)

    def between(self, start: datetime, end: datetime) -> list[Event]:
        """The events that overlap [start, end), in order of their start."""
        found = dict(self._long)
        for day in _days(start, end):
            found.update(self._days.get(day, {}))
        hits = [event for event in found.values() if event.start < end and start < event.end]
        return sorted(hits, key=lambda event: (event.start, event.serial))

    def with_property(self, name: str, value: str) -> list[Event]:
        """The events that carry this extended property, oldest first."""
        return sorted(self._properties.get((name, value), {}).values(), key=lambda event: event.serial)

    def _index(self, event: Event) -> None:
        for bucket in self._buckets(event):
            bucket[event.id] = event

    def _unindex(self, event: Event) -> None:
        for bucket in self._buckets(event):
            bucket.pop(event.id, None)

    def _buckets(self, event: Event) -> Iterable[dict[str, Event]]:
        days = _days(event.start, event.end)
        buckets = [self._long] if len(days) > DAYS_INDEXED else [self._days.setdefault(day, {}) for day in days]
        return buckets + [self._properties.setdefault(pair, {}) for pair in event.properties.items()]


def _days(start: datetime, end: datetime) -> range:
    last = max(start, end - timedelta(microseconds=1))
    return range(start.astimezone(UTC).toordinal(), last.astimezone(UTC).toordinal() + 1)


def merged(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Overlapping or touching spans joined; the input must be in order of start."""
    joined: list[tuple[datetime, datetime]] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined

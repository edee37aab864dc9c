"""An in-memory calendar provider that keeps the promises of `libs.providers.port.Calendar`, with faults to switch on."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from libs.contracts.events import Provider
from libs.providers.errors import (
    CalendarNotFound,
    DeletedByHost,
    ForeignEntry,
    ProviderError,
    Unauthorized,
    Unreachable,
)
from libs.providers.port import Busy, Entry, Interval, Placed, Sighting, Unreadable
from libs.providers.spans import merged, touching

Operation = Literal["busy", "put", "remove", "look", "discard"]
When = Literal["before", "after"]


@dataclass(slots=True)
class Standing:
    """An entry in the double's calendar. `mark` is empty for one that is not Valet's."""

    span: Interval
    mark: str = ""
    title: str = field(default="", repr=False)
    description: str = field(default="", repr=False)
    deleted: bool = False


@dataclass(slots=True)
class _Fault:
    operation: Operation
    error: ProviderError
    when: When
    left: int


class CalendarDouble:
    """One provider's calendars in memory. Thread-safe. `created` counts the entries that ever came to be through `put`.

    While `lagging`, reads are answered by a replica that has not heard of Valet's entries yet.
    """

    def __init__(self, provider: Provider = "google") -> None:
        self.provider: Provider = provider
        self.created = 0
        self.lagging = False
        self.calls: list[tuple[str, str]] = []
        self._lock = threading.RLock()
        self._owners: dict[str, set[str]] = {}
        self._calendars: dict[str, dict[str, Standing]] = {}
        self._unreadable: dict[str, str] = {}
        self._faults: list[_Fault] = []

    # --- What a test arranges ---

    def add_calendar(self, calendar: str, token: str) -> None:
        """Make a calendar that this access token opens."""
        self._calendars.setdefault(calendar, {})
        self._owners.setdefault(token, set()).add(calendar)

    def expire(self, token: str) -> None:
        """Let an access token end: calls with it raise Unauthorized."""
        self._owners.pop(token, None)

    def add_outside(self, calendar: str, start: datetime, end: datetime, entry_id: str = "") -> str:
        """An entry of the host's own; its id."""
        with self._lock:
            name = entry_id or f"outside-{len(self._calendars[calendar])}"
            self._calendars[calendar][name] = Standing(Interval(start, end))
            return name

    def delete_as_host(self, calendar: str, entry: Entry) -> None:
        """The host removes our entry."""
        self._calendars[calendar][entry.event_id].deleted = True

    def move_as_host(self, calendar: str, entry: Entry, start: datetime, end: datetime) -> None:
        """The host moves our entry."""
        self._calendars[calendar][entry.event_id].span = Interval(start, end)

    def move_away_as_host(self, calendar: str, entry: Entry, there: str) -> None:
        """The host moves our entry to another calendar; in the old one it counts as deleted."""
        standing = self._calendars[calendar][entry.event_id]
        self._calendars[there][entry.event_id] = replace(standing)
        standing.deleted = True

    def add_duplicate(self, calendar: str, entry: Entry) -> str:
        """A second entry with our mark, under another id, as a create that doubled leaves it; its id. Only for "microsoft"."""
        if self.provider != "microsoft":
            raise ValueError(
                "Google's entries have ids of our choice, so there are no duplicates: make a 'microsoft' double"
            )
        with self._lock:
            name = f"{entry.event_id}-{len(self._calendars[calendar])}"
            span = Interval(entry.start, entry.end)
            self._calendars[calendar][name] = Standing(span, entry.mark, entry.title, entry.description)
            return name

    def unreadable(self, calendar: str, why: str = "calendar-error") -> None:
        """From now on the calendar cannot be read."""
        self._unreadable[calendar] = why

    def fail(self, operation: Operation, error: ProviderError, when: When = "before", times: int = 1) -> None:
        """The next calls of an operation raise this error, before or after they took effect."""
        self._faults.append(_Fault(operation, error, when, times))

    def heal(self) -> None:
        """No call fails any more."""
        self._faults.clear()

    def entries(self, calendar: str) -> list[Standing]:
        """What stands in a calendar and is Valet's."""
        with self._lock:
            return [replace(s) for s in self._calendars[calendar].values() if s.mark and not s.deleted]

    def in_bin(self, calendar: str) -> list[str]:
        """Titles and texts of what was Valet's and is deleted."""
        with self._lock:
            gone = [s for s in self._calendars[calendar].values() if s.mark and s.deleted]
            return [text for s in gone for text in (s.title, s.description) if text]

    def outsiders(self, calendar: str) -> list[tuple[datetime, datetime]]:
        """Start and end of what is not Valet's."""
        with self._lock:
            return [(s.span.start, s.span.end) for s in self._calendars[calendar].values() if not s.mark]

    # --- The port ---

    def busy(self, token: str, calendars: Sequence[str], window: Interval) -> Mapping[str, Busy | Unreadable]:
        """See the port."""
        with self._call("busy", token):
            return {name: self._busy(token, name, window) for name in calendars}

    def put(self, token: str, calendar: str, entry: Entry) -> Placed:
        """See the port. A fault "after" an insert is like a lost answer: what it hides is found again by reading back."""
        created = self.created
        with self._lock:
            try:
                with self._call("put", token, calendar):
                    return self._put(token, calendar, entry)
            except Unreachable:
                if self.created == created:
                    raise
                return Placed(entry.event_id, created=not entry.tried_before)

    def look(self, token: str, calendar: str, entry: Entry) -> Sighting | None:
        """See the port."""
        with self._call("look", token, calendar):
            name, *extras = self._found(token, calendar, entry) or [""]
            if not name:
                return None
            span = self._calendars[calendar][name].span
            return Sighting(name, span.start, span.end, tuple(extras))

    def remove(self, token: str, calendar: str, entry: Entry, *, for_good: bool = False) -> bool:
        """See the port."""
        with self._call("remove", token, calendar):
            names = self._found(token, calendar, entry)
            for name in names:
                self._calendars[calendar][name].deleted = True
                if for_good:
                    self._calendars[calendar][name].title = self._calendars[calendar][name].description = ""
            return bool(names)

    def discard(self, token: str, calendar: str, entry: Entry, remote_id: str) -> bool:
        """See the port."""
        with self._call("discard", token, calendar):
            extra = remote_id in self._found(token, calendar, entry)[1:]
            if extra:
                self._calendars[calendar][remote_id].deleted = True
            return extra

    def _put(self, token: str, calendar: str, entry: Entry) -> Placed:
        name = next(iter(self._found(token, calendar, entry)), None)
        known = entry.remote_id or entry.event_id in self._calendars[calendar]
        if name is None and known:
            raise DeletedByHost("gone")
        wanted = Standing(Interval(entry.start, entry.end), entry.mark, entry.title, entry.description)
        self.created += name is None
        self._calendars[calendar][name or entry.event_id] = wanted
        return Placed(name or entry.event_id, created=name is None)

    def _found(self, token: str, calendar: str, entry: Entry) -> list[str]:
        """The ids of what stands with our mark: the entry itself, then its duplicates."""
        entries = self._open(token, calendar)
        taken = entries.get(entry.event_id)
        if taken is not None and taken.mark != entry.mark:
            raise ForeignEntry("not-our-mark")
        names = [n for n, s in entries.items() if s.mark == entry.mark and not s.deleted and not self.lagging]
        return sorted(names, key=lambda name: (name != entry.remote_id, name))

    def _busy(self, token: str, calendar: str, window: Interval) -> Busy | Unreadable:
        if calendar in self._unreadable:
            return Unreadable(self._unreadable[calendar])
        if calendar not in self._owners[token]:
            return Unreadable("calendar-not-found")
        spans = [s.span for s in self._calendars[calendar].values() if not s.deleted]
        single = touching(spans, window) if self.provider == "microsoft" else None
        return Busy(merged(spans, window), datetime.now(UTC), single)

    def _open(self, token: str, calendar: str) -> dict[str, Standing]:
        if calendar not in self._owners[token]:
            raise CalendarNotFound("double-404")
        return self._calendars[calendar]

    @contextmanager
    def _call(self, operation: Operation, token: str, calendar: str = "") -> Iterator[None]:
        with self._lock:
            self.calls.append((operation, calendar))
            if token not in self._owners:
                raise Unauthorized("double-401")
            self._strike(operation, "before")
            yield
            self._strike(operation, "after")

    def _strike(self, operation: Operation, when: When) -> None:
        for fault in self._faults:
            if fault.left and (fault.operation, fault.when) == (operation, when):
                fault.left -= 1
                raise fault.error

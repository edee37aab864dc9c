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
from libs.providers.port import Busy, Entry, Interval, Placed, Unreadable
from libs.providers.spans import merged

Operation = Literal["busy", "put", "remove"]
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
    """One provider's calendars in memory. Thread-safe. `created` counts the entries that ever came to be through `put`."""

    def __init__(self, provider: Provider = "google") -> None:
        self.provider: Provider = provider
        self.created = 0
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

    def unreadable(self, calendar: str, why: str = "calendar-error") -> None:
        """From now on the calendar cannot be read."""
        self._unreadable[calendar] = why

    def fail(self, operation: Operation, error: ProviderError, when: When = "before", times: int = 1) -> None:
        """The next calls of an operation raise this error, before or after they took effect."""
        self._faults.append(_Fault(operation, error, when, times))

    def entries(self, calendar: str) -> list[Standing]:
        """What stands in a calendar and is Valet's."""
        with self._lock:
            return [replace(s) for s in self._calendars[calendar].values() if s.mark and not s.deleted]

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
        """See the port. A fault "after" is like a lost answer: what it hides is found again by reading back."""
        try:
            with self._call("put", token, calendar):
                return self._put(token, calendar, entry)
        except Unreachable:
            standing = self._calendars.get(calendar, {}).get(entry.event_id)
            if standing is None or standing.deleted or standing.mark != entry.mark:
                raise
            return Placed(entry.event_id, created=not entry.tried_before)

    def remove(self, token: str, calendar: str, entry: Entry) -> bool:
        """See the port."""
        with self._call("remove", token, calendar):
            standing = self._open(token, calendar).get(entry.event_id)
            if standing is None or standing.deleted:
                return False
            if standing.mark != entry.mark:
                raise ForeignEntry("not-our-mark")
            standing.deleted = True
            return True

    def _put(self, token: str, calendar: str, entry: Entry) -> Placed:
        entries = self._open(token, calendar)
        standing = entries.get(entry.event_id)
        if standing is None and entry.remote_id:
            raise DeletedByHost("gone")
        wanted = Standing(Interval(entry.start, entry.end), entry.mark, entry.title, entry.description)
        if standing is None:
            self.created += 1
        elif standing.mark != entry.mark:
            raise ForeignEntry("not-our-mark")
        elif standing.deleted:
            raise DeletedByHost("cancelled")
        entries[entry.event_id] = wanted
        return Placed(entry.event_id, created=standing is None)

    def _busy(self, token: str, calendar: str, window: Interval) -> Busy | Unreadable:
        if calendar in self._unreadable:
            return Unreadable(self._unreadable[calendar])
        if calendar not in self._owners[token]:
            return Unreadable("calendar-not-found")
        spans = [s.span for s in self._calendars[calendar].values() if not s.deleted]
        return Busy(merged(spans, window), datetime.now(UTC))

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

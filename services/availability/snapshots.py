"""Busy times that were read a moment ago, in memory only, for questions that may be answered from them."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from libs.providers.port import Busy
from libs.telemetry import metrics
from services.availability.domain import Window
from services.availability.flights import Inquiry, Look

MOST_WINDOWS = 4
"""Of one calendar: a visitor looks at one week, then at another."""
MOST_BYTES = 64 * 1024 * 1024
BASE_BYTES, SPAN_BYTES = 500, 200
"""What a snapshot and a busy span take in memory, roughly."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    window: Window
    began: float
    busy: Busy

    @property
    def bytes(self) -> int:
        return BASE_BYTES + SPAN_BYTES * (len(self.busy.intervals) + len(self.busy.single or ()))


_Calendar = tuple[str, str]  # connection, calendar


class Snapshots:
    """What was read, by host, connection and calendar; nothing older than `seconds`, hosts not asked about for longest go first.

    `clock` is a monotonic one, in seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float], most_bytes: int = MOST_BYTES) -> None:
        self._seconds = seconds
        self._clock = clock
        self._most = most_bytes
        self._lock = threading.Lock()
        self._hosts: OrderedDict[str, dict[_Calendar, list[_Snapshot]]] = OrderedDict()
        self._bytes = 0

    def known(self, inquiry: Inquiry) -> Sequence[Look]:
        """An answer to the whole inquiry, if all of it was read lately; otherwise none."""
        with self._lock:
            kept = self._hosts.get(inquiry.host, {})
            looks = [self._look(kept, inquiry, window) for window in inquiry.windows]
            if inquiry.host in self._hosts:
                self._hosts.move_to_end(inquiry.host)
        return [look for look in looks if look] if all(looks) else ()

    def keep(self, inquiry: Inquiry, looks: Sequence[Look]) -> None:
        """Remember what was read of the windows that are to be kept. What could not be read is not remembered."""
        if not self._seconds:
            return
        with self._lock:
            for look in looks:
                if any(look.window.covers(window) for window in inquiry.kept):
                    self._put(inquiry, look)
            while self._bytes > self._most:
                self._drop(next(iter(self._hosts)))
            metrics.SNAPSHOT_BYTES.set(self._bytes)

    def forget(self, host: str) -> None:
        """What was read of this host is no longer good."""
        with self._lock:
            self._drop(host)
            metrics.SNAPSHOT_BYTES.set(self._bytes)

    def _look(self, kept: dict[_Calendar, list[_Snapshot]], inquiry: Inquiry, window: Window) -> Look | None:
        oldest = self._clock() - self._seconds
        found: dict[str, _Snapshot] = {}
        for calendar in inquiry.calendars:
            of_it = kept.get((inquiry.connection, calendar.calendar), ())
            good = [s for s in of_it if s.began > oldest and s.window.covers(window)]
            if not good:
                return None
            found[calendar.calendar] = max(good, key=lambda s: s.began)
        began = min(snapshot.began for snapshot in found.values())
        return Look(window, began, {name: snapshot.busy for name, snapshot in found.items()})

    def _put(self, inquiry: Inquiry, look: Look) -> None:
        kept = self._hosts.setdefault(inquiry.host, {})
        self._hosts.move_to_end(inquiry.host)
        for calendar, result in look.results.items():
            if isinstance(result, Busy):
                key, before = (inquiry.connection, calendar), kept.get((inquiry.connection, calendar), [])
                other = [s for s in before if s.began > look.began - self._seconds and not look.window.covers(s.window)]
                kept[key] = [*other, _Snapshot(look.window, look.began, result)][-MOST_WINDOWS:]
                self._bytes += _size(kept[key]) - _size(before)

    def _drop(self, host: str) -> None:
        self._bytes -= sum(_size(snapshots) for snapshots in self._hosts.pop(host, {}).values())


def _size(snapshots: Sequence[_Snapshot]) -> int:
    return sum(snapshot.bytes for snapshot in snapshots)

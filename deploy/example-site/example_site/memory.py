"""What was heard of the bookings that began here. In memory, bounded in number and time; nothing personal is in it.

Valet keeps the bookings. What a restart forgets here is asked for again, or comes from the queue that waited.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, Generic, Literal, TypeVar

import msgspec

from example_site.events import trace_of
from example_site.links import Span

KEPT: Final = 20_000
FORMS: Final = 5_000  # a link is up to some 20 KB, for what the visitor wrote is in it, sealed
LIFE: Final = 48 * 3600.0  # seconds
TYPES: Final = (
    "booking-held",
    "booking-confirmed",
    "booking-rejected",
    "booking-rescheduled",
    "booking-cancelled",
    "change-refused",
    "calendar-event-written",
    "calendar-event-removed",
    "calendar-write-delayed",
    "calendar-write-failed",
    "booking-conflict-found",
)
"""What the site listens for."""

State = Literal["held", "confirmed", "rejected", "cancelled"]
STATES: Final[dict[str, State]] = {
    "booking-confirmed": "confirmed",
    "booking-rescheduled": "confirmed",
    "booking-rejected": "rejected",
    "booking-cancelled": "cancelled",
}
ENTRIES: Final = {
    "calendar-event-written": "written",
    "calendar-event-removed": "removed",
    "calendar-write-delayed": "delayed",
    "calendar-write-failed": "failed",
}


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a booking stands. `entry` is the last that was heard of its calendar entry, as of version `entry_version`."""

    booking: str
    version: int = 0
    state: State = "held"
    span: Span | None = None
    reason: str | None = None
    entry: str | None = None
    entry_version: int = 0
    entry_reason: str | None = None
    conflict: str | None = None

    @property
    def current_entry(self) -> str | None:
        """What was heard of the entry as the booking stands now."""
        return self.entry if self.entry_version >= self.version else None


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one request of this site: of a booking, or of a change of one."""

    booking: str | None = None
    sent: bool = False  # by this process, since it started
    held: bool = False
    outcome: Literal["confirmed", "rejected", "rescheduled", "cancelled", "refused"] | None = None
    reason: str | None = None


Value = TypeVar("Value")


class Bounded(Generic[Value]):
    """A dictionary that forgets what is old, and the oldest when it is full."""

    def __init__(self, clock: Callable[[], float], kept: int = KEPT, life: float = LIFE) -> None:
        self._clock, self._kept, self._life = clock, kept, life
        self._found: OrderedDict[str, tuple[float, Value]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: str) -> Value | None:
        self._forget()
        found = self._found.get(key)
        return found[1] if found else None

    def put(self, key: str, value: Value) -> None:
        self._found[key] = (self._clock(), value)
        self._found.move_to_end(key)
        self._forget()

    def _forget(self) -> None:
        oldest = self._clock() - self._life
        while self._found and (len(self._found) > self._kept or next(iter(self._found.values()))[0] < oldest):
            self._found.popitem(last=False)


class Memory:
    """Hears facts and answers pages. Safe between threads."""

    def __init__(self, source: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._marks: Bounded[Mark] = Bounded(clock)
        self._standings: Bounded[Standing] = Bounded(clock)
        self._forms: Bounded[str] = Bounded(clock, FORMS)

    def first(self, id: str, link: str) -> str:
        """The link that this form's request was given first: however often a form is sent, it is one request."""
        with self._lock:
            if (before := self._forms.get(id)) is None:
                self._forms.put(id, link)
            return before or link

    def link_of(self, id: str) -> str | None:
        """The link of a form that was sent already."""
        with self._lock:
            return self._forms.get(id)

    def sent(self, id: str, booking: str | None = None) -> None:
        """A request is with the broker."""
        with self._lock:
            self._mark(id, sent=True, **({"booking": booking} if booking else {}))

    def unsent(self, id: str) -> None:
        """It is not with the broker, or nobody knows."""
        with self._lock:
            self._mark(id, sent=False)

    def mark(self, id: str) -> Mark:
        """What became of a request; nothing, if it is not known."""
        with self._lock:
            return self._marks.get(id) or Mark()

    def standing(self, booking: str | None) -> Standing | None:
        """How a booking stands, as far as it was heard."""
        with self._lock:
            return self._standings.get(booking) if booking else None

    def hear(self, event: dict[str, Any]) -> None:
        """Take in a fact. Those of others, repeats and old news change nothing."""
        kind, data = str(event["type"]), event["data"]
        with self._lock:
            if kind == "booking-held":
                self._hear_held(event, data)
            elif kind == "change-refused":
                if data["request"]["source"] == self._source:
                    self._mark(data["request"]["id"], outcome="refused", reason=data["reason"])
            elif kind in STATES:
                self._hear_state(kind, data)
            elif (known := self._standings.get(data["booking"])) is not None:
                self._standings.put(known.booking, entered(known, kind, data))

    def _hear_held(self, event: dict[str, Any], data: dict[str, Any]) -> None:
        id = trace_of(event) or ""
        if self._marks.get(id) is None:  # somebody else's
            return
        self._mark(id, booking=data["booking"], held=True)
        if "moves" not in data:
            self._settle(data, "held")

    def _hear_state(self, kind: str, data: dict[str, Any]) -> None:
        change = data.get("change") or {}
        if change.get("source") == self._source:
            self._mark(change["id"], booking=data["booking"], outcome=kind.removeprefix("booking-"))
        if data["request"]["source"] != self._source:
            return
        if data.get("reason") == "identity-reused":  # what was sent first stands, and has an outcome of its own
            if (self._marks.get(data["request"]["id"]) or Mark()).outcome is None:
                self._mark(data["request"]["id"], outcome="rejected", reason="identity-reused")
            return
        if kind in ("booking-confirmed", "booking-rejected"):
            outcome = {"outcome": STATES[kind], "reason": data.get("reason")}
            self._mark(data["request"]["id"], booking=data["booking"], held=True, **outcome)
        self._mark(data["request"]["id"], booking=data["booking"])
        self._settle(data, STATES[kind])

    def _settle(self, data: dict[str, Any], state: State) -> None:
        known = self._standings.get(data["booking"]) or Standing(booking=data["booking"])
        self._standings.put(known.booking, settled(known, data, state))

    def _mark(self, id: str, **heard: Any) -> None:
        self._marks.put(id, msgspec.structs.replace(self._marks.get(id) or Mark(), **heard))


def settled(known: Standing, data: dict[str, Any], state: State) -> Standing:
    """With a fact about the booking itself. What has no higher version than the one known is old news."""
    if data["version"] <= known.version:
        return known
    span = msgspec.convert({"start": data["start"], "end": data["end"]}, Span) if "start" in data else known.span
    return msgspec.structs.replace(
        known, version=data["version"], state=state, span=span, reason=data.get("reason"), conflict=None
    )


def entered(known: Standing, kind: str, data: dict[str, Any]) -> Standing:
    """With a fact about the booking's entry in the calendar."""
    if data["version"] < known.entry_version:
        return known
    if kind not in ENTRIES:
        return msgspec.structs.replace(known, conflict=data.get("reason") or "overlapped-by-host")
    return msgspec.structs.replace(
        known, entry=ENTRIES[kind], entry_version=data["version"], entry_reason=data.get("reason")
    )

"""What a booking is. Pure: instants come in as arguments (aware, UTC), nothing is read or written here. How it changes: `life`."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from libs.contracts.reasons import Reason
from services.booking.claims import Span


class State(StrEnum):
    """Where a booking stands."""

    HELD = "held"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


OVER = frozenset({State.REJECTED, State.EXPIRED, State.CANCELLED})


class Turn(StrEnum):
    """What happened to a booking at one version."""

    HELD = "held"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    MOVING = "moving"
    RESCHEDULED = "rescheduled"
    MOVE_REFUSED = "move-refused"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a booking's history; nothing personal. `label` is the asker's, `start` and `end` the time it is about."""

    state: Turn
    version: int
    at: datetime
    reason: Reason | None = None
    label: str | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a request, and a keyed digest of its content: the same content gives the same digest."""

    source: str
    id: str
    digest: str


class Asked(StrEnum):
    """What a change of a booking is."""

    CANCELLATION = "cancellation"
    RESCHEDULE = "reschedule"


@dataclass(frozen=True, slots=True)
class Applied:
    """A change that a booking took on: in which versions it began and came out, and why it was refused if it was.

    `key` is the keyed digest of its identity.
    """

    key: str
    request: Identity
    asked: Asked
    began: int
    ended: int | None = None
    reason: Reason | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """A time that a booking is to move to. `claims` are what it claims there, `before` what it claims if it stays."""

    start: datetime
    end: datetime
    claims: tuple[str, ...]
    before: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CalendarState:
    """What the calendar-writer last said of the booking's entry."""

    state: str
    provider: str
    version: int
    attempt: int
    at: datetime
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Where the calendar says otherwise than the booking at this version; `start` and `end` are what was found there."""

    version: int
    at: datetime
    reason: Reason | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Booking:
    """A booking at one version. `span` is missing where the request named no time that could be read.

    `person` is whose data key `sealed` is under (`libs.crypto.digests.owner`), `user` the broker's name of whoever asked, where
    that is known, and `erasure` the erasure that this booking is a part of.
    While it moves, `span` is the time it has, `claims` cover that and the one it moves to, and `hold_until` is the move's.
    """

    id: str
    version: int
    state: State
    request: Identity
    received: datetime
    history: tuple[Step, ...]
    span: Span | None = None
    reason: Reason | None = None
    claims: tuple[str, ...] = ()
    hold_until: datetime | None = None
    move: Move | None = None
    changes: tuple[Applied, ...] = ()
    person: str | None = None
    sealed: bytes | None = field(default=None, repr=False)
    traceparent: str | None = None
    user: str | None = None
    erasure: str | None = None
    calendar: CalendarState | None = None
    conflict: Conflict | None = None

    @property
    def over(self) -> bool:
        return self.state in OVER

    @property
    def decided(self) -> bool:
        return self.state is not State.HELD

    @property
    def changed(self) -> datetime:
        """When it came to its present version."""
        return self.history[-1].at

    @property
    def entry(self) -> Step:
        """The step that last changed what should stand in the calendar."""
        return next(s for s in reversed(self.history) if s.state not in (Turn.MOVING, Turn.MOVE_REFUSED))

    @property
    def identities(self) -> tuple[str, ...]:
        """The keys of all requests that this booking answers."""
        return (self.id, *(change.key for change in self.changes))

    def step(self, version: int) -> Step:
        """What happened at a version."""
        return next(s for s in self.history if s.version == version)

    def span_at(self, version: int) -> Span | None:
        """The time it had at a version."""
        if self.span is None:
            return None
        for step in reversed(self.history[:version]):
            if step.state in (Turn.HELD, Turn.RESCHEDULED) and step.start and step.end:
                return Span(self.span.host, step.start, step.end)
        return self.span


@dataclass(frozen=True, slots=True)
class Rules:
    """What a request must keep to."""

    grid: timedelta
    longest: timedelta
    horizon: timedelta
    hold: timedelta


def fault(span: Span, rules: Rules, now: datetime) -> Reason | None:
    """Why this time cannot be booked by anyone, or None."""
    if span.end <= span.start:
        return Reason.END_BEFORE_START
    if not (_on_grid(span.start, rules.grid) and _on_grid(span.end, rules.grid)):
        return Reason.OFF_GRID
    if span.start < now:
        return Reason.IN_THE_PAST
    if span.end - span.start > rules.longest:
        return Reason.TOO_LONG
    if span.start - now > rules.horizon:
        return Reason.TOO_FAR_AHEAD
    return None


def _on_grid(at: datetime, grid: timedelta) -> bool:
    return at.timestamp() % grid.total_seconds() == 0

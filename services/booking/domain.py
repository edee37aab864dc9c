"""What a booking is and how it changes. Pure: instants come in as arguments (aware, UTC), nothing is read or written here."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from libs.contracts.reasons import Reason


class State(StrEnum):
    """Where a booking stands."""

    HELD = "held"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a booking's history; nothing personal."""

    state: State
    version: int
    at: datetime
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a request, and a keyed digest of its content: the same content gives the same digest."""

    source: str
    id: str
    digest: str


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open interval [start, end) at a host."""

    host: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Booking:
    """A booking at one version. `span` is missing where the request named no time that could be read."""

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
    person: str | None = None
    sealed: bytes | None = field(default=None, repr=False)
    traceparent: str | None = None
    calendar: "CalendarState | None" = None

    @property
    def over(self) -> bool:
        return self.state in (State.REJECTED, State.CANCELLED)

    @property
    def decided(self) -> bool:
        return self.state is not State.HELD

    @property
    def changed(self) -> datetime:
        """When it came to its present version."""
        return self.history[-1].at


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


def claims(span: Span, grid: timedelta) -> tuple[str, ...]:
    """The grid cells of the interval. Two intervals of a host overlap exactly if they share one."""
    size = int(grid.total_seconds())
    first, last = int(span.start.timestamp()) // size, int(span.end.timestamp()) // size
    return tuple(f"{span.host}/{cell}" for cell in range(first, last))


def held(booking_id: str, request: Identity, span: Span, rules: Rules, now: datetime) -> Booking:
    """A new booking that claims its time and waits for the calendar's word."""
    return Booking(
        id=booking_id,
        version=1,
        state=State.HELD,
        request=request,
        received=now,
        history=(Step(State.HELD, 1, now),),
        span=span,
        claims=claims(span, rules.grid),
        hold_until=now + rules.hold,
    )


def rejected(booking_id: str, request: Identity, span: Span | None, reason: Reason, now: datetime) -> Booking:
    """A request refused for good. It keeps nothing of the invitee."""
    step = Step(State.REJECTED, 1, now, reason)
    return Booking(
        id=booking_id,
        version=1,
        state=State.REJECTED,
        request=request,
        received=now,
        history=(step,),
        span=span,
        reason=reason,
    )


def approve(booking: Booking, version: int, now: datetime) -> Booking | None:
    """The calendar is free: confirmed. None if that word comes too late or concerns another version."""
    if booking.state is not State.HELD or booking.version != version:
        return None
    return _moved(booking, State.CONFIRMED, now, None)


def refuse(booking: Booking, version: int, reason: Reason, now: datetime) -> Booking | None:
    """The calendar is not free, or could not be read: rejected, the time is free again and the invitee forgotten."""
    if booking.state is not State.HELD or booking.version != version:
        return None
    return replace(_moved(booking, State.REJECTED, now, reason), sealed=None, person=None)


def cancel(booking: Booking, reason: Reason, now: datetime) -> Booking | None:
    """The booking is over. None if it was not standing."""
    if booking.state is not State.CONFIRMED:
        return None
    return _moved(booking, State.CANCELLED, now, reason)


def expire(booking: Booking, now: datetime) -> Booking | None:
    """Nobody answered in time: rejected. None if the hold has not run out."""
    if booking.hold_until is None or now < booking.hold_until:
        return None
    return refuse(booking, booking.version, Reason.HOLD_EXPIRED, now)


def _moved(booking: Booking, state: State, now: datetime, reason: Reason | None) -> Booking:
    version = booking.version + 1
    return replace(
        booking,
        version=version,
        state=state,
        reason=reason,
        history=(*booking.history, Step(state, version, now, reason)),
        claims=booking.claims if state is State.CONFIRMED else (),
        hold_until=None,
    )


def _on_grid(at: datetime, grid: timedelta) -> bool:
    return at.timestamp() % grid.total_seconds() == 0

"""How a booking is changed on request: what was asked for, whether it can be, and what becomes of it. Pure, as `domain` is."""

from dataclasses import dataclass, replace
from datetime import datetime

from libs.contracts.events import OPERATOR
from libs.contracts.reasons import Reason
from services.booking import domain, life
from services.booking.claims import Span
from services.booking.domain import Applied, Asked, Booking, Identity, Move, Rules, State, Turn

MOST_CHANGES = 50
"""So often a booking may be moved, refused moves included: its document must not grow without end."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A change as it was asked for. `fault` says why it cannot be read, `key` is the keyed digest of its identity, `user` the
    broker's name of whoever asks, `trusted` that this is an operator."""

    key: str
    request: Identity
    asked: Asked
    booking: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    label: str | None = None
    traceparent: str | None = None
    user: str | None = None
    trusted: bool = False
    fault: Reason | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A change refused before it touched the booking, and how that stood. Without `key` if its identity is another's."""

    id: str
    key: str | None
    request: Identity
    asked: Asked
    reason: Reason
    at: datetime
    booking: str | None = None
    version: int | None = None
    span: Span | None = None
    traceparent: str | None = None


def change_id(key: str) -> str:
    """What a change is called in the ids of its events."""
    return "ch_" + key.removeprefix("bk_")


def own(wish: Wish, booking: Booking | None) -> Booking | None:
    """The booking, if whoever asks may know of it: another emitter's is as unknown as one that never was. Valet's own
    operators may change any.

    Anybody can write another's source into an event. Where the broker vouched for who asked for the booking, it must vouch for
    the same name now.
    """
    if booking is None or wish.request.source == OPERATOR:
        return booking
    same = booking.request.source == wish.request.source and (wish.trusted or booking.user in (None, wish.user))
    return booking if same else None


def fault(wish: Wish, booking: Booking | None, rules: Rules, now: datetime) -> Reason | None:
    """Why this change cannot be made to this booking (None: there is no such booking of the asker's), or None."""
    if wish.fault is not None:
        return wish.fault
    if booking is None:
        return Reason.UNKNOWN_BOOKING
    if booking.over or booking.span is None or booking.span.end <= now:
        return Reason.BOOKING_OVER
    return None if wish.asked is Asked.CANCELLATION else _unmovable(wish, booking, rules, now)


def target(wish: Wish, booking: Booking) -> Span:
    """The time that a reschedule asks for."""
    if wish.start is None or wish.end is None or booking.span is None:
        raise ValueError("only a reschedule of a booking with a time has a target")
    return Span(booking.span.host, wish.start, wish.end)


def refusal(wish: Wish, booking: Booking | None, reason: Reason, now: datetime) -> Refusal:
    """The change refused. It says how the booking stands only if that is the asker's own."""
    refused = Refusal(
        change_id(wish.key), wish.key, wish.request, wish.asked, reason, now, traceparent=wish.traceparent
    )
    return replace(refused, booking=booking.id, version=booking.version, span=booking.span) if booking else refused


def cancelled(booking: Booking, wish: Wish, now: datetime) -> Booking:
    """The booking cancelled on request. It must not be over."""
    end = life.withdraw if booking.state is State.HELD else life.cancel
    after = end(booking, Reason.CANCELLED_ON_REQUEST, now, wish.label)
    if after is None:
        raise ValueError("what is over cannot be cancelled")
    return replace(after, changes=(*after.changes, _applied(wish, after.version, ended=after.version)))


def moving(booking: Booking, wish: Wish, claims: tuple[str, ...], rules: Rules, now: datetime) -> Booking:
    """The booking with both times claimed: the one it has, and with `claims` the one it is to move to."""
    span = target(wish, booking)
    after = life.stepped(
        booking,
        Turn.MOVING,
        now,
        label=wish.label,
        start=span.start,
        end=span.end,
        claims=tuple(dict.fromkeys((*booking.claims, *claims))),
        hold_until=now + rules.hold,
        move=Move(span.start, span.end, claims, booking.claims),
    )
    return replace(after, changes=(*after.changes, _applied(wish, after.version)))


def _unmovable(wish: Wish, booking: Booking, rules: Rules, now: datetime) -> Reason | None:
    if booking.state is State.HELD:
        return Reason.BOOKING_NOT_CONFIRMED
    if booking.move is not None:
        return Reason.CHANGE_PENDING
    if len(booking.changes) >= MOST_CHANGES:
        return Reason.TOO_MANY_CHANGES
    return domain.fault(target(wish, booking), rules, now)


def _applied(wish: Wish, began: int, ended: int | None = None) -> Applied:
    return Applied(wish.key, wish.request, wish.asked, began, ended, traceparent=wish.traceparent)

"""How a booking changes: each function gives the booking one version on, or None where nothing changes. Pure, as `domain` is."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from libs.contracts.reasons import Reason
from services.booking.claims import Span, cells
from services.booking.domain import Booking, Identity, Rules, State, Step, Turn


def held(booking_id: str, request: Identity, span: Span, rules: Rules, now: datetime) -> Booking:
    """A new booking that claims its time and waits for the calendar's word."""
    return Booking(
        id=booking_id,
        version=1,
        state=State.HELD,
        request=request,
        received=now,
        history=(Step(Turn.HELD, 1, now, start=span.start, end=span.end),),
        span=span,
        claims=cells(span, rules.grid),
        hold_until=now + rules.hold,
    )


def rejected(booking_id: str, request: Identity, span: Span | None, reason: Reason, now: datetime) -> Booking:
    """A request refused for good. It keeps nothing of the invitee."""
    return Booking(
        id=booking_id,
        version=1,
        state=State.REJECTED,
        request=request,
        received=now,
        history=(Step(Turn.REJECTED, 1, now, reason),),
        span=span,
        reason=reason,
    )


def approve(booking: Booking, version: int, now: datetime) -> Booking | None:
    """The calendar is free: confirmed, or moved. None if that word comes too late or concerns another version."""
    if booking.version != version:
        return None
    if booking.state is State.HELD:
        return stepped(booking, Turn.CONFIRMED, now, state=State.CONFIRMED, hold_until=None)
    move, span = booking.move, booking.span
    if move is None or span is None:
        return None
    moved = stepped(booking, Turn.RESCHEDULED, now, start=move.start, end=move.end, claims=move.claims)
    return settled(replace(moved, span=Span(span.host, move.start, move.end)), None)


def refuse(booking: Booking, version: int, reason: Reason, now: datetime) -> Booking | None:
    """The calendar is not free, or could not be read: rejected, or left where it was. None as in `approve`."""
    if booking.version != version:
        return None
    if booking.state is State.HELD:
        return forgotten(_ended(booking, Turn.REJECTED, State.REJECTED, reason, now))
    if booking.move is None:
        return None
    stays = stepped(booking, Turn.MOVE_REFUSED, now, reason, claims=booking.move.before)
    return settled(stays, reason)


def expire(booking: Booking, now: datetime) -> Booking | None:
    """Nobody answered in time: over, or left where it was. None if neither hold nor move has run out."""
    if booking.hold_until is None or now < booking.hold_until:
        return None
    if booking.state is State.HELD:
        return forgotten(_ended(booking, Turn.EXPIRED, State.EXPIRED, Reason.HOLD_EXPIRED, now))
    return refuse(booking, booking.version, Reason.HOLD_EXPIRED, now)


def cancel(booking: Booking, reason: Reason, now: datetime, label: str | None = None) -> Booking | None:
    """The booking is over, and with it a move that was not decided. None if it was not standing."""
    if booking.state is not State.CONFIRMED:
        return None
    return settled(_ended(booking, Turn.CANCELLED, State.CANCELLED, reason, now, label), Reason.BOOKING_OVER)


def withdraw(booking: Booking, reason: Reason, now: datetime, label: str | None = None) -> Booking | None:
    """A booking that is not decided yet is over: nothing of the invitee is needed any more. None if it was decided."""
    if booking.state is not State.HELD:
        return None
    return forgotten(_ended(booking, Turn.CANCELLED, State.CANCELLED, reason, now, label))


def stepped(
    booking: Booking,
    turn: Turn,
    now: datetime,
    why: Reason | None = None,
    *,
    label: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    **changes: Any,
) -> Booking:
    """The booking one version on."""
    version = booking.version + 1
    step = Step(turn, version, now, why, label, start, end)
    return replace(booking, version=version, history=(*booking.history, step), **changes)


def settled(booking: Booking, reason: Reason | None) -> Booking:
    """The booking with its move, if it had one, come to an end at this version."""
    if booking.move is None:
        return booking
    *before, moving = booking.changes
    ended = replace(moving, ended=booking.version, reason=reason)
    return replace(booking, move=None, hold_until=None, changes=(*before, ended))


def forgotten(booking: Booking) -> Booking:
    """The booking without its invitee."""
    return replace(booking, sealed=None, person=None)


def _ended(
    booking: Booking, turn: Turn, state: State, reason: Reason, now: datetime, label: str | None = None
) -> Booking:
    return stepped(booking, turn, now, reason, label=label, state=state, reason=reason, claims=(), hold_until=None)

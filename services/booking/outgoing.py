"""The events of a booking's versions: derived, so that the same version always gives the same events."""

from datetime import datetime

import msgspec

from libs.contracts import codec
from libs.contracts.events import (
    BookingCancelled,
    BookingConfirmed,
    BookingFact,
    BookingHeld,
    BookingRejected,
    BookingRescheduled,
    ChangeRefused,
    Event,
    RequestRef,
    TimeSpan,
)
from libs.contracts.reasons import Reason
from libs.mongo.outbox import Pending
from services.booking.claims import Span
from services.booking.domain import Applied, Asked, Booking, Identity, Step, Turn
from services.booking.moves import Refusal, change_id

SOURCE = "urn:valet:booking"

FACTS: dict[Turn, type[BookingFact]] = {
    Turn.CONFIRMED: BookingConfirmed,
    Turn.REJECTED: BookingRejected,
    Turn.EXPIRED: BookingRejected,
    Turn.RESCHEDULED: BookingRescheduled,
    Turn.CANCELLED: BookingCancelled,
}


def events_of(booking: Booking) -> tuple[Pending, ...]:
    """The events that tell of the booking's last change, ready for the outbox."""
    version = booking.version
    ended = [c for c in booking.changes if c.ended == version and c.reason]
    refused = [_move_refused(booking, change) for change in ended]
    return tuple(refused if booking.step(version).state is Turn.MOVE_REFUSED else [fact_of(booking, version), *refused])


def outcome_of(booking: Booking) -> tuple[Pending, ...]:
    """How its request came out, and how the booking stands now where that is no longer the same."""
    versions = [step.version for step in booking.history if step.state in FACTS]
    return tuple(fact_of(booking, version) for version in dict.fromkeys(versions[:1] + versions[-1:]))


def answer_to(booking: Booking, change: Applied) -> tuple[Pending, ...]:
    """How a change came out; nothing as long as it is not decided."""
    if change.ended is None:
        return ()
    return (_move_refused(booking, change) if change.reason else fact_of(booking, change.ended),)


def fact_of(booking: Booking, version: int) -> Pending:
    """What the booking says of one of its versions."""
    step = booking.step(version)
    change = next((c for c in booking.changes if _caused(c, step)), None)
    data = _data(booking, step, change)
    traceparent = change.traceparent if change else booking.traceparent
    return _pending(data, f"{booking.id}.{version}", step.at, booking.id, traceparent)


def refusal_event(refusal: Refusal) -> Pending:
    """The event of a change that was refused before it touched the booking."""
    data = _refused(refusal.request, refusal.asked, refusal.reason, refusal.booking, refusal.version, refusal.span)
    return _pending(data, refusal.id, refusal.at, refusal.booking, refusal.traceparent)


def _caused(change: Applied, step: Step) -> bool:
    """Whether this change is what brought the booking to this step."""
    if step.state is Turn.CANCELLED:
        return change.asked is Asked.CANCELLATION
    return step.version == (change.began if step.state is Turn.MOVING else change.ended)


def _data(booking: Booking, step: Step, change: Applied | None) -> Event:
    span = booking.span_at(step.version)
    if step.state in (Turn.HELD, Turn.MOVING) and span is not None:
        return BookingHeld(
            booking=booking.id,
            version=step.version,
            host=span.host,
            start=step.start or span.start,
            end=step.end or span.end,
            moves=TimeSpan(start=span.start, end=span.end) if step.state is Turn.MOVING else None,
        )
    fact = FACTS[step.state](
        booking=booking.id,
        version=step.version,
        request=_ref(booking.request),
        host=span.host if span else None,
        start=span.start if span else None,
        end=span.end if span else None,
        reason=step.reason,
    )
    return msgspec.structs.replace(fact, change=_ref(change.request)) if change else fact


def _move_refused(booking: Booking, change: Applied) -> Pending:
    version = change.ended or booking.version
    reason, span = change.reason or Reason.BOOKING_OVER, booking.span_at(version)
    data = _refused(change.request, change.asked, reason, booking.id, version, span)
    return _pending(data, change_id(change.key), booking.step(version).at, booking.id, change.traceparent)


def _refused(
    request: Identity, asked: Asked, reason: Reason, booking: str | None, version: int | None, span: Span | None
) -> ChangeRefused:
    return ChangeRefused(
        request=_ref(request),
        asked=asked.value,
        reason=reason,
        booking=booking,
        version=version,
        host=span.host if span else None,
        start=span.start if span else None,
        end=span.end if span else None,
    )


def _ref(request: Identity) -> RequestRef:
    return RequestRef(source=request.source, id=request.id)


def _pending(data: Event, stem: str, at: datetime, subject: str | None, traceparent: str | None) -> Pending:
    kind = codec.name_of(data)
    event = codec.event(data, id=f"{stem}.{kind}", source=SOURCE, time=at, subject=subject, traceparent=traceparent)
    return Pending(event.id, kind, at, codec.encode(event))

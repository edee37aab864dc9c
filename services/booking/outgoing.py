"""The event of a booking's present version: derived, so that the same version always gives the same event."""

from libs.contracts import codec
from libs.contracts.events import (
    BookingCancelled,
    BookingConfirmed,
    BookingFact,
    BookingHeld,
    BookingRejected,
    Event,
    RequestRef,
)
from libs.mongo.outbox import Pending
from services.booking.domain import Booking, State

SOURCE = "urn:valet:booking"

FACTS: dict[State, type[BookingFact]] = {
    State.CONFIRMED: BookingConfirmed,
    State.REJECTED: BookingRejected,
    State.CANCELLED: BookingCancelled,
}


def event_of(booking: Booking) -> Pending:
    """The event that tells of the booking's last change, ready for the outbox."""
    data = _data(booking)
    kind = codec.name_of(data)
    event = codec.event(
        data,
        id=f"{booking.id}.{booking.version}.{kind}",
        source=SOURCE,
        time=booking.changed,
        subject=booking.id,
        traceparent=booking.traceparent,
    )
    return Pending(event.id, kind, booking.changed, codec.encode(event))


def _data(booking: Booking) -> Event:
    span = booking.span
    if booking.state is State.HELD and span is not None:
        return BookingHeld(booking=booking.id, version=booking.version, host=span.host, start=span.start, end=span.end)
    return FACTS[booking.state](
        booking=booking.id,
        version=booking.version,
        request=RequestRef(source=booking.request.source, id=booking.request.id),
        host=span.host if span else None,
        start=span.start if span else None,
        end=span.end if span else None,
        reason=booking.reason,
    )

"""The writer's events: what became of an entry."""

from datetime import datetime

from libs.contracts import codec
from libs.contracts.events import (
    CalendarEffect,
    CalendarEventRemoved,
    CalendarEventWritten,
    CalendarWriteDelayed,
    CalendarWriteFailed,
)
from libs.mongo.outbox import Pending
from services.calendar_writer.domain import Effect, Standing

SOURCE = "urn:valet:calendar-writer"

FACTS: dict[Standing, type[CalendarEffect]] = {
    Standing.WRITTEN: CalendarEventWritten,
    Standing.REMOVED: CalendarEventRemoved,
    Standing.INTENDED: CalendarWriteDelayed,
    Standing.FAILED: CalendarWriteFailed,
}


def event_of(effect: Effect, now: datetime, traceparent: str | None) -> Pending:
    """The event that tells how a try came out."""
    data = FACTS[effect.standing](
        booking=effect.booking,
        version=effect.version,
        host=effect.host,
        provider=effect.provider,
        attempt=effect.attempts,
        reason=effect.reason,
    )
    name = codec.name_of(data)
    # A delay can be told of at every attempt; the end of it only once.
    suffix = f".{effect.attempts}" if effect.standing is Standing.INTENDED else ""
    event = codec.event(
        data,
        id=f"{effect.booking}.{effect.version}.{name}{suffix}",
        source=SOURCE,
        time=now,
        subject=effect.booking,
        traceparent=traceparent,
    )
    return Pending(event.id, name, now, codec.encode(event))

"""The writer's events: what became of an entry, and where the calendar says something else than the booking."""

from datetime import datetime

from libs.contracts import codec
from libs.contracts.events import (
    BookingConfirmed,
    BookingConflictFound,
    CalendarEffect,
    CalendarEventRemoved,
    CalendarEventWritten,
    CalendarWriteDelayed,
    CalendarWriteFailed,
    Event,
    RequestRef,
    TimeSpan,
)
from libs.contracts.questions import Detail
from libs.contracts.reasons import Reason
from libs.mongo.outbox import Pending
from services.calendar_writer.domain import OPEN, Effect, Standing

SOURCE = "urn:valet:calendar-writer"

FACTS: dict[Standing, type[CalendarEffect]] = {
    Standing.WRITTEN: CalendarEventWritten,
    Standing.REMOVED: CalendarEventRemoved,
    Standing.INTENDED: CalendarWriteDelayed,
    Standing.PARKED: CalendarWriteDelayed,
    Standing.FAILED: CalendarWriteFailed,
}


def event_of(effect: Effect, now: datetime, traceparent: str | None) -> Pending | None:
    """The event that tells how a try came out; None for an effect without a place, for no provider has to do with it."""
    if effect.provider is None:
        return None
    data = FACTS[effect.standing](
        booking=effect.booking,
        version=effect.version,
        host=effect.host,
        provider=effect.provider,
        attempt=max(1, effect.attempts),
        reason=effect.reason,
    )
    return _pending(data, effect, _suffix(effect), now, traceparent)


def conflict_of(effect: Effect, detail: Detail, reason: Reason, found: TimeSpan, now: datetime) -> Pending:
    """The event that tells what else the calendar says at, or of, a booking's time."""
    data = BookingConflictFound(
        booking=effect.booking,
        version=effect.version,
        host=effect.host,
        start=detail.start or found.start,
        end=detail.end or found.end,
        reason=reason,
        found=found,
    )
    return _pending(data, effect, f".{effect.revision}.{reason.value}", now, None)


def reminder(effect: Effect, now: datetime) -> Pending:
    """Word to this service itself to look after an effect again. It never leaves the service's own queue."""
    id = f"{effect.booking}.{effect.version}.again.{effect.revision}.{int(now.timestamp())}"
    request = RequestRef(source=SOURCE, id=id)
    data = BookingConfirmed(booking=effect.booking, version=max(1, effect.version), request=request, host=effect.host)
    event = codec.event(data, id=id, source=SOURCE, time=now, subject=effect.booking, traceparent=None)
    return Pending(id, codec.name_of(data), now, codec.encode(event))


def _suffix(effect: Effect) -> str:
    """Delays and failures can be told of at every try, the good end once for each place of the entry."""
    place = f".{effect.generation}" if effect.generation > 1 else ""
    if effect.standing is Standing.PARKED:
        return f".parked.{effect.revision}"
    return f"{place}.{effect.attempts}" if effect.standing in (*OPEN, Standing.FAILED) else place


def _pending(data: Event, effect: Effect, suffix: str, now: datetime, traceparent: str | None) -> Pending:
    name = codec.name_of(data)
    id = f"{effect.booking}.{effect.version}.{name}{suffix}"
    event = codec.event(data, id=id, source=SOURCE, time=now, subject=effect.booking, traceparent=traceparent)
    return Pending(id, name, now, codec.encode(event))

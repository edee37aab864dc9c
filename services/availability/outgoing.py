"""Availability's answer to a hold, as an event."""

from dataclasses import dataclass
from datetime import datetime

from libs.contracts import codec
from libs.contracts.events import BookingHeld, HoldApproved, HoldRefused
from libs.messaging.delivery import Incoming
from libs.mongo.outbox import Pending
from services.availability.domain import Verdict

SOURCE = "urn:valet:availability"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to one version of a held booking. `id` names the question, so that it is answered once."""

    id: str
    at: datetime
    event: Pending
    reason: str | None


def answer_of(item: Incoming[BookingHeld], verdict: Verdict, now: datetime) -> Answer:
    """The answer that a verdict makes."""
    held = item.data
    kind = HoldApproved if verdict.free else HoldRefused
    data = kind(
        booking=held.booking,
        version=held.version,
        host=held.host,
        start=held.start,
        end=held.end,
        reason=verdict.reason,
    )
    name = codec.name_of(data)
    question = f"{held.booking}.{held.version}"
    event = codec.event(
        data,
        id=f"{question}.{name}",
        source=SOURCE,
        time=now,
        subject=held.booking,
        traceparent=item.traceparent,
    )
    return Answer(question, now, Pending(event.id, name, now, codec.encode(event)), verdict.reason)

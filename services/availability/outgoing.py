"""What availability says: its answer to a hold, and that a host's rules changed."""

from dataclasses import dataclass
from datetime import datetime

from libs.contracts import codec
from libs.contracts.events import BookingHeld, HoldApproved, HoldRefused, HostRulesChanged
from libs.contracts.questions import StandingRules
from libs.messaging.delivery import Incoming
from libs.mongo.outbox import Pending
from services.availability.domain import Verdict

SOURCE = "urn:valet:availability"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to one version of a held booking. `id` names the question."""

    id: str
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
    return Answer(question, Pending(event.id, name, now, codec.encode(event)), verdict.reason)


def rules_event_of(standing: StandingRules, now: datetime) -> Pending:
    """The event that tells of this version of a host's rules."""
    rules = standing.rules
    data = HostRulesChanged(
        host=standing.host,
        version=standing.version,
        time_zone=rules.time_zone,
        buffer_before_minutes=rules.buffer_before_minutes,
        buffer_after_minutes=rules.buffer_after_minutes,
        daily_limit=rules.daily_limit,
    )
    name = codec.name_of(data)
    event = codec.event(
        data, id=f"{standing.host}.{standing.version}.{name}", source=SOURCE, time=now, subject=standing.host
    )
    return Pending(event.id, name, now, codec.encode(event))

"""One booking's journey, put together from the events that come by. Pure: knows no bus and no screen."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from libs.contracts import codec
from libs.contracts.events import TYPES, BookingFact, CalendarEffect, HoldFact, RequestRef

Telling = HoldFact | BookingFact | CalendarEffect

STEPS = {
    "booking-held": "held",
    "hold-approved": "approved",
    "hold-refused": "refused",
    "booking-confirmed": "confirmed",
    "booking-rejected": "rejected",
    "calendar-event-written": "written",
    "calendar-write-delayed": "write-delayed",
    "calendar-write-failed": "write-failed",
}
"""Event type to the step of the journey that it tells of."""

LAST = frozenset({"rejected", "written", "write-failed"})


@dataclass(frozen=True, slots=True)
class Heard:
    """An event that came by. `at` is in seconds of the monotonic clock; `trace` is the W3C trace id, if it has one."""

    kind: str
    at: float
    trace: str | None
    data: Telling


@dataclass(frozen=True, slots=True)
class Step:
    """A step, and how long after the request's sending it was heard of (milliseconds)."""

    name: str
    ms: int
    reason: str | None = None


@dataclass(slots=True)
class Journey:
    """What is known of one request. `sent` is in seconds of the monotonic clock."""

    request: RequestRef
    host: str
    start: datetime
    end: datetime
    trace: str
    sent: float | None = None
    _heard: list[Heard] = field(default_factory=list)
    _learnt: list[Step] = field(default_factory=list)

    def hear(self, event: Heard) -> None:
        """Keep what may concern this request. Whether it does, only the outcome says for certain."""
        if self.sent is None or event.at < self.sent:
            return
        ours = event.data.request == self.request if isinstance(event.data, BookingFact) else self._here(event)
        if ours:
            self._heard.append(event)

    @property
    def booking(self) -> str | None:
        """The booking's id: from the outcome, or until then from the hold that is ours as far as can be seen."""
        outcome = self._outcome()
        if outcome:
            return outcome.data.booking
        return next((event.data.booking for event in self._heard if self._likely(event)), None)

    @property
    def steps(self) -> Sequence[Step]:
        """The steps so far, each once, in the order in which they were heard of."""
        found: dict[str, Step] = {}
        if self.sent is not None:
            found["requested"] = Step("requested", 0)
            booking = self.booking
            for event in self._heard:
                if event.data.booking == booking and STEPS[event.kind] not in found:
                    found[STEPS[event.kind]] = self._step(event, self.sent)
        found |= {step.name: step for step in self._learnt if step.name not in found}
        return list(found.values())

    def learn(self, name: str, at: float, reason: str | None = None) -> None:
        """A step that was asked about rather than heard of: of a repeated request, it lies before the listening."""
        if self.sent is not None:
            self._learnt.append(Step(name, round((at - self.sent) * 1000), reason))

    @property
    def outcome(self) -> str | None:
        """`confirmed`, `rejected` or None."""
        event = self._outcome()
        return STEPS[event.kind] if event else None

    @property
    def reason(self) -> str | None:
        """Why it was rejected, or could not be written."""
        return next((step.reason for step in reversed(self.steps) if step.name in LAST), None)

    @property
    def over(self) -> bool:
        """Whether nothing more is to come."""
        return any(step.name in LAST for step in self.steps)

    def step(self, *names: str) -> Step | None:
        """The first step of one of these names."""
        return next((step for step in self.steps if step.name in names), None)

    def _outcome(self) -> Heard | None:
        return next((event for event in self._heard if isinstance(event.data, BookingFact)), None)

    def _here(self, event: Heard) -> bool:
        return event.data.host == self.host

    def _likely(self, event: Heard) -> bool:
        if not isinstance(event.data, HoldFact) or event.trace not in (self.trace, None):
            return False
        return (event.data.start, event.data.end) == (self.start, self.end)

    def _step(self, event: Heard, sent: float) -> Step:
        reason = event.data.reason
        return Step(STEPS[event.kind], round((event.at - sent) * 1000), reason.value if reason else None)


def heard(envelope: codec.Envelope, at: float) -> Heard | None:
    """The event, if it tells of a booking's journey and can be read."""
    if envelope.type not in STEPS:
        return None
    try:
        data = codec.data_of(envelope, TYPES[envelope.type])
    except codec.Unreadable:
        return None
    if not isinstance(data, HoldFact | BookingFact | CalendarEffect):
        return None
    return Heard(envelope.type, at, trace_of(envelope.traceparent), data)


def trace_of(traceparent: str | None) -> str | None:
    """The trace id of a W3C `traceparent` (https://www.w3.org/TR/trace-context/)."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) >= 4 else None

"""One change of a booking, a cancellation or a move, put together from events. Pure: knows no bus and no screen."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from deploy.cli.journey import Step
from libs.contracts import codec
from libs.contracts.events import (
    TYPES,
    BookingCancelled,
    BookingRescheduled,
    CalendarEffect,
    CancellationRequested,
    ChangeRefused,
    Event,
    HoldFact,
    RequestRef,
    RescheduleRequested,
)

KINDS = {
    "booking-held": "held",
    "hold-approved": "approved",
    "hold-refused": "refused by the calendar",
    "booking-cancelled": "cancelled",
    "booking-rescheduled": "moved",
    "change-refused": "refused",
    "calendar-event-written": "written",
    "calendar-event-removed": "removed",
    "calendar-write-delayed": "write-delayed",
    "calendar-write-failed": "write-failed",
}
"""Event type to the step that it tells of."""
OUTCOMES = ("cancelled", "moved", "refused")
LAST = frozenset({"refused", "written", "removed", "no-entry", "write-failed"})

Asked = CancellationRequested | RescheduleRequested


@dataclass(slots=True)
class Change:
    """What is known of one change. `sent` is in seconds of the monotonic clock."""

    request: RequestRef
    data: Asked
    trace: str
    sent: float
    _steps: dict[str, Step] = field(default_factory=dict)
    _version: int | None = None

    def hear(self, envelope: codec.Envelope, at: float) -> bool:
        """Whether the event told something new of this change."""
        if envelope.type not in KINDS:
            return False
        try:
            data = codec.data_of(envelope, TYPES[envelope.type])
        except codec.Unreadable:
            return False
        if not self._ours(data):
            return False
        if isinstance(data, BookingCancelled | BookingRescheduled):
            self._version = data.version
        reason = getattr(data, "reason", None)
        return self.learn(KINDS[envelope.type], at, reason.value if reason else None)

    def learn(self, name: str, at: float, reason: str | None = None) -> bool:
        """Take a step; False if it was known."""
        if name in self._steps:
            return False
        self._steps[name] = Step(name, round((at - self.sent) * 1000), reason)
        return True

    @property
    def steps(self) -> Sequence[Step]:
        """The steps so far, each once, in the order in which they were heard of."""
        return [Step("requested", 0), *self._steps.values()]

    @property
    def outcome(self) -> str | None:
        """`cancelled`, `moved`, `refused` or None."""
        return next((name for name in OUTCOMES if name in self._steps), None)

    @property
    def reason(self) -> str | None:
        """Why it was refused, or could not be brought into the calendar."""
        ends = [step for step in self._steps.values() if step.name in ("refused", "write-failed")]
        return ends[-1].reason if ends else None

    @property
    def over(self) -> bool:
        """Whether nothing more is to come."""
        return self.outcome is not None and not LAST.isdisjoint(self._steps)

    @property
    def in_calendar(self) -> bool:
        """Whether the calendar says so too."""
        return not {"written", "removed", "no-entry"}.isdisjoint(self._steps)

    def _ours(self, data: Event) -> bool:
        match data:
            case ChangeRefused():
                return data.request == self.request
            case BookingCancelled() | BookingRescheduled():
                return data.change == self.request
            case HoldFact():
                return data.booking == self.data.booking and (data.start, data.end) == self._span
            case CalendarEffect():
                return data.booking == self.data.booking and self._version is not None and data.version >= self._version
        return False

    @property
    def _span(self) -> tuple[datetime, datetime] | None:
        return (self.data.start, self.data.end) if isinstance(self.data, RescheduleRequested) else None

"""The booking service: what comes in, and which use case answers it. Run with `nameko run services.booking.service`."""

from collections.abc import Sequence
from typing import Any

from libs.contracts.events import BookingConflictFound, HostRulesChanged
from libs.contracts.questions import Detail
from libs.messaging.delivery import Incoming, Outcome
from libs.messaging.entrypoints import answers, consumes, every
from services.booking import changes, handlers, noting, questions
from services.booking.requests import Request
from services.booking.wiring import BookingWiring, Use
from services.booking.wishes import ChangeRequest


class BookingService:
    """Holds, decides, changes and remembers bookings."""

    name = "booking"
    use: Use = BookingWiring()

    @consumes("booking-requested", hand_over_malformed=True)
    def hold_bookings(self, batch: Sequence[Request]) -> Sequence[Outcome]:
        return handlers.hold_bookings(batch, self.use.desk)

    @consumes("hold-approved", "hold-refused")
    def decide_holds(self, batch: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
        return handlers.decide_holds(batch, self.use.desk)

    @consumes("cancellation-requested", "reschedule-requested", hand_over_malformed=True)
    def change_bookings(self, batch: Sequence[ChangeRequest]) -> Sequence[Outcome]:
        return changes.change_bookings(batch, self.use.desk)

    @consumes("calendar-event-written", "calendar-event-removed", "calendar-write-delayed", "calendar-write-failed")
    def note_calendar_effects(self, batch: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
        return noting.note_calendar_effects(batch, self.use.desk)

    @consumes("booking-conflict-found")
    def note_conflicts(self, batch: Sequence[Incoming[BookingConflictFound]]) -> Sequence[Outcome]:
        return noting.note_conflicts(batch, self.use.desk)

    @consumes("host-rules-changed")
    def keep_host_rules(self, batch: Sequence[Incoming[HostRulesChanged]]) -> Sequence[Outcome]:
        return noting.keep_host_rules(batch, self.use.desk)

    @answers()
    def details(self, bookings: list[str]) -> dict[str, Detail | None]:
        return questions.details(bookings, self.use.desk)

    @answers()
    def journeys(self, bookings: list[str]) -> dict[str, object]:
        return questions.journeys(bookings, self.use.desk)

    @answers()
    def public_keys(self) -> dict[str, object]:
        return self.use.envelopes.public_keys()

    @every(seconds=1)
    def sweep_outbox(self) -> None:
        self.use.relay.sweep(self.use.settings.relay_seconds)

    @every(seconds=5)
    def expire_holds(self) -> None:
        handlers.expire_holds(self.use.desk)

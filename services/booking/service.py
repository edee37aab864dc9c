"""The booking service: what comes in, and which use case answers it.

Run with `python -m libs.messaging.run services.booking.service`.
"""

from collections.abc import Sequence
from typing import Any

from libs.contracts.events import BookingConflictFound, ErasureId, HostId, HostRulesChanged, Instant
from libs.contracts.questions import Detail
from libs.crypto.rotation import Most
from libs.messaging.delivery import Incoming, Outcome
from libs.messaging.entrypoints import answers, consumes, every
from libs.messaging.retry import SOON
from libs.mongo.errors import StoreUnavailable
from services.booking import changes, erasing, erasure_rounds, handlers, listing, noting, questions, retention
from services.booking.erasing import ErasureRequest
from services.booking.requests import Request
from services.booking.wiring import BookingWiring, Use
from services.booking.wishes import ChangeRequest


class BookingService:
    """Holds, decides, changes and remembers bookings."""

    name = "booking"
    use: Use = BookingWiring()

    @consumes("booking-requested", policy=SOON, hand_over_malformed=True)
    def hold_bookings(self, batch: Sequence[Request]) -> Sequence[Outcome]:
        return handlers.hold_bookings(batch, self.use.desk)

    @consumes("erasure-requested", policy=SOON, hand_over_malformed=True)
    def erase_people(self, batch: Sequence[ErasureRequest]) -> Sequence[Outcome]:
        return erasing.erase_people(batch, self.use.eraser)

    @consumes("hold-approved", "hold-refused")
    def decide_holds(self, batch: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
        return handlers.decide_holds(batch, self.use.desk)

    @consumes("cancellation-requested", "reschedule-requested", policy=SOON, hand_over_malformed=True)
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

    @answers(listing.BadPlace, StoreUnavailable)
    def bookings(
        self,
        host: HostId | None = None,
        state: listing.Standing | None = None,
        start: Instant | None = None,
        end: Instant | None = None,
        open: bool = False,
        most: listing.Many = 100,
        after: listing.Place = "",
    ) -> dict[str, Any]:
        search = listing.Search(host, state, start, end, open, listing.place(after), most)
        return listing.bookings(search, self.use.register)

    @answers()
    def public_keys(self) -> dict[str, object]:
        return self.use.public_keys()

    @answers(StoreUnavailable)
    def erasures(self) -> list[dict[str, object]]:
        return questions.erasures(self.use.eraser)

    @answers(StoreUnavailable)
    def erasure(self, id: ErasureId) -> dict[str, object] | None:
        return questions.erasure(id, self.use.eraser)

    @answers(StoreUnavailable)
    def keys(self) -> dict[str, Any]:
        return self.use.rotation.status()

    @answers(StoreUnavailable)
    def rewrap_keys(self, most: Most, after: str = "") -> dict[str, Any]:
        return self.use.rotation.rewrap(most, after)

    @every(seconds=1)
    def sweep_outbox(self) -> None:
        for relay in self.use.relays:
            relay.sweep(self.use.settings.relay_seconds)

    @every(seconds=1)
    def work_off_erasures(self) -> None:
        erasure_rounds.work_off(self.use.eraser)

    @every(seconds=5)
    def expire_holds(self) -> None:
        handlers.expire_holds(self.use.desk)

    @every(seconds=retention.EVERY)
    def sweep_retention(self) -> None:
        retention.sweep(self.use.sweeper)

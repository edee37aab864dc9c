"""The calendar-writer: what comes in, and which use case answers it.

Run with `python -m libs.messaging.run services.calendar_writer.service`.
"""

from collections.abc import Sequence
from typing import Any

from libs.contracts.events import HostId
from libs.contracts.questions import EntryStanding
from libs.messaging.delivery import Incoming, Outcome
from libs.messaging.entrypoints import answers, consumes, every
from libs.messaging.grants import AuthUnavailable
from libs.messaging.switched import EVERY
from libs.mongo.errors import StoreUnavailable
from services.calendar_writer import clearing, handlers, measuring, parked, reconciling
from services.calendar_writer.desk import DetailsUnavailable
from services.calendar_writer.wiring import Use, WriterWiring


class CalendarWriterService:
    """Writes bookings into calendars, exactly once."""

    name = "calendar-writer"
    use: Use = WriterWiring()

    @consumes("booking-confirmed", "booking-rescheduled", "booking-cancelled")
    def write_entries(self, batch: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
        return handlers.write_entries(batch, self.use.desk)

    @consumes(
        "calendar-connected",
        "calendar-reconnect-needed",
        "calendar-disconnected",
        "host-calendars-changed",
        "provider-switched",
    )
    def resume_writes(self, batch: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
        return handlers.resume_writes(batch, self.use.desk)

    @answers(AuthUnavailable, DetailsUnavailable, StoreUnavailable)
    def reconcile(self, host: HostId | None = None) -> dict[str, int]:
        return reconciling.reconcile(self.use.desk, host)

    @answers(AuthUnavailable, DetailsUnavailable, StoreUnavailable)
    def clear(self, bookings: clearing.Bookings) -> dict[str, EntryStanding]:
        return clearing.clear(bookings, self.use.desk)

    @answers(StoreUnavailable)
    def effects(self) -> dict[str, Any]:
        return measuring.summary(self.use.desk.ledger)

    @every(seconds=EVERY)
    def learn_switches(self) -> None:
        self.use.desk.switches.look()

    @every(seconds=1)
    def sweep_outbox(self) -> None:
        self.use.relay.sweep(self.use.settings.relay_seconds)

    @every(seconds=1)
    def look_around(self) -> None:
        reconciling.look_around(self.use.desk)

    @every(seconds=5)
    def sweep_left(self) -> None:
        parked.sweep(self.use.desk)

    @every(seconds=10)
    def measure_open(self) -> None:
        measuring.measure_open(self.use.desk.ledger, self.use.desk.clock())

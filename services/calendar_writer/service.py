"""The calendar-writer: what comes in, and which use case answers it. Run with `nameko run services.calendar_writer.service`."""

from collections.abc import Sequence
from typing import Any

from libs.messaging.delivery import Incoming, Outcome
from libs.messaging.entrypoints import consumes, every
from services.calendar_writer import handlers
from services.calendar_writer.wiring import Use, WriterWiring


class CalendarWriterService:
    """Writes bookings into calendars, exactly once."""

    name = "calendar-writer"
    use: Use = WriterWiring()

    @consumes("booking-confirmed", "booking-rescheduled", "booking-cancelled")
    def write_entries(self, batch: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
        return handlers.write_entries(batch, self.use.desk)

    @consumes("calendar-connected", "calendar-reconnect-needed", "calendar-disconnected")
    def forget_access(self, batch: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
        return handlers.forget_access(batch, self.use.desk)

    @every(seconds=1)
    def sweep_outbox(self) -> None:
        self.use.relay.sweep(self.use.settings.relay_seconds)

    @every(seconds=10)
    def measure_open(self) -> None:
        handlers.measure_open(self.use.ledger, self.use.desk.clock())

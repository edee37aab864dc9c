"""Availability: what comes in, and which use case answers it. Run with `nameko run services.availability.service`."""

from collections.abc import Sequence
from typing import Any

from libs.contracts.events import HostId, Instant
from libs.contracts.questions import Slots
from libs.messaging.delivery import Incoming, Outcome
from libs.messaging.entrypoints import answers, consumes, every
from libs.messaging.retry import QUICK
from services.availability import handlers
from services.availability.wiring import AvailabilityWiring, Use


class AvailabilityService:
    """Says whether a host is free."""

    name = "availability"
    use: Use = AvailabilityWiring()

    @consumes("booking-held", policy=QUICK)
    def check_holds(self, batch: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
        return handlers.check_holds(batch, self.use.desk)

    @consumes("calendar-connected", "calendar-reconnect-needed", "calendar-disconnected")
    def forget_access(self, batch: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
        return handlers.forget_access(batch, self.use.desk)

    @answers(handlers.BadQuestion)
    def slots(self, host: HostId, start: Instant, end: Instant, duration_minutes: int) -> Slots:
        window, duration = handlers.slot_question(start, end, duration_minutes)
        return handlers.find_slots(host, window, duration, self.use.desk)

    @every(seconds=1)
    def sweep_outbox(self) -> None:
        self.use.relay.sweep(self.use.settings.relay_seconds)

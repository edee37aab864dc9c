"""Availability: what comes in, and which use case answers it.

Run with `python -m libs.messaging.run services.availability.service`.
"""

from collections.abc import Sequence
from typing import Any

from libs.contracts.events import BookingId, HostId, Instant
from libs.contracts.questions import Slots, StandingRules, TeamSlots
from libs.messaging.delivery import Incoming, Outcome
from libs.messaging.entrypoints import answers, consumes, every
from libs.messaging.retry import QUICK
from libs.messaging.switched import EVERY
from services.availability import handlers, hostrules, questions
from services.availability.desk import BadQuestion, NotNow
from services.availability.questions import Mode, wanted
from services.availability.wiring import AvailabilityWiring, Use


class AvailabilityService:
    """Says whether a host is free."""

    name = "availability"
    use: Use = AvailabilityWiring()

    @consumes("booking-held", policy=QUICK)
    def check_holds(self, batch: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
        return handlers.check_holds(batch, self.use.desk)

    @consumes(
        "booking-held",
        "booking-confirmed",
        "booking-rejected",
        "booking-rescheduled",
        "booking-cancelled",
        "change-refused",
        gather=0.1,
    )
    def note_bookings(self, batch: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
        return handlers.note_bookings(batch, self.use.desk)

    @consumes(
        "calendar-connected",
        "calendar-reconnect-needed",
        "calendar-disconnected",
        "host-calendars-changed",
        "provider-switched",
    )
    def forget_access(self, batch: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
        return handlers.forget_access(batch, self.use.desk)

    @answers(BadQuestion)
    def slots(
        self, host: HostId, start: Instant, end: Instant, duration_minutes: int, moving: BookingId | None = None
    ) -> Slots:
        desk = self.use.desk
        return questions.find_slots(host, wanted(start, end, duration_minutes, desk.limits, moving), desk)

    @answers(BadQuestion)
    def team_slots(
        self, hosts: list[HostId], mode: Mode, start: Instant, end: Instant, duration_minutes: int
    ) -> TeamSlots:
        desk = self.use.desk
        return questions.find_team_slots(hosts, mode, wanted(start, end, duration_minutes, desk.limits), desk)

    @answers(NotNow)
    def host_rules(self, host: HostId) -> StandingRules:
        return hostrules.host_rules(host, self.use.desk)

    @answers(BadQuestion, NotNow)
    def set_host_rules(self, host: HostId, rules: dict[str, Any]) -> StandingRules:
        return hostrules.set_host_rules(host, rules, self.use.desk)

    @every(seconds=EVERY)
    def learn_switches(self) -> None:
        self.use.desk.switches.look()

    @every(seconds=1)
    def sweep_outbox(self) -> None:
        self.use.relay.sweep(self.use.settings.relay_seconds)

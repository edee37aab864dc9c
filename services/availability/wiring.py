"""Availability's adapters, made here and nowhere else."""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from libs.config import clock
from libs.config.settings import Settings
from libs.messaging.grants import CachedGrants
from libs.messaging.relay import Relay, Teller
from libs.messaging.runtime import Runtime, Wiring
from libs.messaging.switched import Learner
from libs.mongo.client import answers
from libs.providers.adapters import calendars
from libs.providers.switches import Switches
from services.availability.agenda import MongoAgenda
from services.availability.desk import Desk, Limits
from services.availability.reading import Reader
from services.availability.rulebook import MongoRuleBook
from services.availability.sidebyside import SideBySide
from services.availability.snapshots import Snapshots

SIDE_BY_SIDE = 50
"""Requests to providers at once for holds, and as many for slots."""
ANSWER_WITHIN = 0.7
"""The share of the time that whoever asks has, after which an answer about slots goes out with what is known."""


@dataclass(frozen=True, slots=True)
class Use:
    """What the service's methods find."""

    desk: Desk
    relay: Relay
    settings: Settings


class AvailabilityWiring(Wiring):
    """Providers, stores and relays of availability."""

    requires: ClassVar[tuple[str, ...]] = ("mongo_url",)

    def build(self, runtime: Runtime) -> Any:
        settings = runtime.settings
        database = runtime.database()
        agenda = MongoAgenda(database)
        agenda.ensure_indexes()
        runtime.watch("store", lambda: answers(database))
        rules_relay = runtime.relay(database["rules"])
        grants = CachedGrants(runtime.ask)
        snapshots = Snapshots(settings.snapshot_seconds, time.monotonic)
        together = SideBySide(SIDE_BY_SIDE)
        switches = Switches()
        adapters = calendars(settings, switches=switches, mailbox=grants.connection)
        reader = Reader(adapters, grants, together, snapshots, settings.provider_timeout)
        desk = Desk(
            grants=grants,
            reader=reader,
            switches=Learner(runtime.ask, switches.learn, grants.clear),
            rules=MongoRuleBook(database),
            agenda=agenda,
            teller=Teller(runtime.publisher),
            rules_relay=rules_relay,
            limits=_limits(settings),
            hold=timedelta(seconds=settings.hold_seconds),
            clock=clock.now,
            answer_within=settings.rpc_timeout * ANSWER_WITHIN,
        )
        return Use(desk, rules_relay, settings)


def _limits(settings: Settings) -> Limits:
    return Limits(
        grid_minutes=settings.grid_minutes,
        longest=timedelta(minutes=settings.longest_booking_minutes),
        horizon=timedelta(days=settings.horizon_days),
    )

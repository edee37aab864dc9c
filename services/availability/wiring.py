"""Availability's adapters, made here and nowhere else."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from eventlet import GreenPool

from libs.config import clock
from libs.config.settings import Settings
from libs.messaging.grants import CachedGrants
from libs.messaging.relay import Relay
from libs.messaging.runtime import Runtime, Wiring
from libs.mongo.client import answers, connect
from libs.mongo.outbox import MongoOutbox
from libs.providers.adapters import calendars
from services.availability.handlers import Desk
from services.availability.reading import Reader
from services.availability.store import MongoAnswerBook

SIDE_BY_SIDE = 50  # questions to providers at once


@dataclass(frozen=True, slots=True)
class Use:
    """What the service's methods find."""

    desk: Desk
    relay: Relay
    settings: Settings


class AvailabilityWiring(Wiring):
    """Providers, answers and relay of availability."""

    requires: ClassVar[tuple[str, ...]] = ("mongo_url",)

    def build(self, runtime: Runtime) -> Any:
        settings = runtime.settings
        database = connect(settings, runtime.service)
        book, outbox = MongoAnswerBook(database), MongoOutbox(database["answers"])
        book.ensure_indexes()
        outbox.ensure_index()
        runtime.watch("store", lambda: answers(database))
        relay, grants = Relay(outbox, runtime.publisher), CachedGrants(runtime.ask)
        pool = GreenPool(SIDE_BY_SIDE)
        reader = Reader(calendars(settings), grants, pool.imap)
        desk = Desk(grants, reader, book, relay, timedelta(seconds=settings.hold_seconds), clock.now)
        return Use(desk, relay, settings)

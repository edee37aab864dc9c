"""The booking service's adapters, made here and nowhere else."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from libs.config import clock
from libs.config.settings import Settings
from libs.crypto.digests import Digests
from libs.crypto.envelopes import Envelopes
from libs.crypto.letters import LetterSeal
from libs.crypto.vault import Vault
from libs.messaging.relay import Relay
from libs.messaging.runtime import Runtime, Wiring
from libs.mongo.client import answers, connect
from libs.mongo.keys import MongoKeyStore
from libs.mongo.outbox import MongoOutbox
from services.booking.desk import Desk
from services.booking.domain import Rules
from services.booking.hosts import MongoHostBook
from services.booking.invitees import Entrance, Safe
from services.booking.store import MongoBookingStore


@dataclass(frozen=True, slots=True)
class Use:
    """What the service's methods find."""

    desk: Desk
    relay: Relay
    envelopes: Envelopes
    settings: Settings


class BookingWiring(Wiring):
    """Store, vault and relay of the booking service."""

    requires: ClassVar[tuple[str, ...]] = ("mongo_url", "keyring")

    def build(self, runtime: Runtime) -> Any:
        settings = runtime.settings
        masters = runtime.keyring()
        database = connect(settings, runtime.service)
        store, outbox = MongoBookingStore(database), MongoOutbox(database["bookings"])
        store.ensure_indexes()
        outbox.ensure_index()
        runtime.watch("store", lambda: answers(database))
        runtime.sealer = LetterSeal(masters)
        relay = Relay(outbox, runtime.publisher)
        envelopes, digests = Envelopes(masters), Digests(masters)
        entrance = Entrance(envelopes, settings.require_sealed)
        safe = Safe(Vault(masters, MongoKeyStore(database)), digests)
        desk = Desk(store, MongoHostBook(database), relay, entrance, safe, digests, _rules(settings), clock.now)
        return Use(desk, relay, envelopes, settings)


def _rules(settings: Settings) -> Rules:
    return Rules(
        grid=timedelta(minutes=settings.grid_minutes),
        longest=timedelta(minutes=settings.longest_booking_minutes),
        horizon=timedelta(days=settings.horizon_days),
        hold=timedelta(seconds=settings.hold_seconds),
    )

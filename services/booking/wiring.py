"""The booking service's adapters, made here and nowhere else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import msgspec
from pymongo.database import Database

from libs.config import clock
from libs.config.settings import Settings
from libs.contracts.questions import EntryStanding
from libs.crypto.digests import Digests
from libs.crypto.envelopes import Envelopes
from libs.crypto.keyring import MasterKeys
from libs.crypto.letters import LetterSeal
from libs.crypto.receipts import ReceiptSigner
from libs.crypto.rotation import Rotation
from libs.crypto.vault import Vault
from libs.messaging import keys, topology
from libs.messaging.errors import RpcFailed, ServiceUnavailable
from libs.messaging.letters import Letters, waiting
from libs.messaging.link import Link
from libs.messaging.relay import Relay
from libs.messaging.retry import SOON
from libs.messaging.rpc import Ask
from libs.messaging.runtime import Runtime, Wiring
from libs.mongo.client import Document, answers
from libs.mongo.keys import MongoKeyStore
from services.booking.desk import Desk
from services.booking.domain import Rules
from services.booking.erasing import Eraser, Standings, WriterAway
from services.booking.erasure import Queues
from services.booking.erasures import MongoErasures
from services.booking.hosts import MongoHostBook
from services.booking.invitees import Entrance, Safe
from services.booking.listing import MongoRegister, Register
from services.booking.purging import Reader
from services.booking.retained import MongoRetained
from services.booking.retention import Sweeper
from services.booking.store import MongoBookingStore

QUEUES: Queues = {
    "booking.hold-bookings": None,
    topology.GivenUp("booking").name: None,
    **{rung.queue: timedelta(seconds=rung.seconds) for rung in SOON.rungs},
}
"""Where requests wait that say who booked, and for how long at most where that is known."""


@dataclass(frozen=True, slots=True)
class Use:
    """What the service's methods find."""

    desk: Desk
    relays: Sequence[Relay]
    envelopes: Envelopes
    rotation: Rotation
    sweeper: Sweeper
    eraser: Eraser
    register: Register
    settings: Settings

    def public_keys(self) -> dict[str, Any]:
        """The JWK set: first the key to seal requests for, then the one that receipts are signed with."""
        return {"keys": [*self.envelopes.public_keys()["keys"], self.eraser.signer.public_key()]}


class BookingWiring(Wiring):
    """Store, vault and relay of the booking service."""

    requires: ClassVar[tuple[str, ...]] = ("mongo_url", "keyring")

    def build(self, runtime: Runtime) -> Any:
        settings = runtime.settings
        masters = runtime.keyring()
        database = runtime.database()
        key_store = MongoKeyStore(database)
        key_store.ensure_indexes()
        rotation = keys.rotation(masters, key_store)
        store = MongoBookingStore(database)
        store.ensure_indexes()
        runtime.watch("store", lambda: answers(database))
        runtime.sealer = LetterSeal(masters)
        relay = runtime.relay(database["bookings"])
        envelopes, digests = Envelopes(masters), Digests(masters)
        entrance = Entrance(envelopes, settings.require_sealed)
        safe, hosts, erasures = Safe(Vault(masters, key_store)), MongoHostBook(database), MongoErasures(database)
        erasures.ensure_indexes()
        desk = Desk(store, hosts, relay, entrance, safe, digests, _rules(settings), clock.now, erasures)
        sweeper = _sweeper(database, key_store, settings.retention_days)
        told = runtime.relay(database["erasures"])
        eraser = _eraser(desk, told, runtime, masters)
        return Use(desk, (relay, told), envelopes, rotation, sweeper, eraser, MongoRegister(database), settings)


def _eraser(desk: Desk, relay: Relay, runtime: Runtime, masters: MasterKeys) -> Eraser:
    link = Link(runtime.settings, f"{runtime.service}.letters")
    return Eraser(
        desk=desk,
        relay=relay,
        clear=_clears(runtime.ask),
        letters=Letters(link, runtime.publisher, [runtime.service]),
        reader=Reader(LetterSeal(masters), Envelopes(masters), desk.digests),
        ready=lambda: waiting(link, list(QUEUES)),
        queues=QUEUES,
        signer=ReceiptSigner(masters),
        patience=timedelta(seconds=runtime.settings.erasure_patience),
    )


def _clears(ask: Ask) -> Callable[[Sequence[str]], Standings]:
    def clear(bookings: Sequence[str]) -> Standings:
        try:
            answer = ask("calendar-writer", "clear", list(bookings))
            return msgspec.convert(answer, dict[str, EntryStanding])
        except (ServiceUnavailable, RpcFailed, msgspec.ValidationError) as error:
            raise WriterAway(type(error).__name__) from None

    return clear


def _sweeper(database: Database[Document], key_store: MongoKeyStore, days: int | None) -> Sweeper:
    store = MongoRetained(database)
    store.ensure_indexes(forgets=days is not None)
    return Sweeper(store, key_store.retire, clock.now, days)


def _rules(settings: Settings) -> Rules:
    return Rules(
        grid=timedelta(minutes=settings.grid_minutes),
        longest=timedelta(minutes=settings.longest_booking_minutes),
        horizon=timedelta(days=settings.horizon_days),
        hold=timedelta(seconds=settings.hold_seconds),
    )

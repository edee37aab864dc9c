"""Auth's adapters, made here and nowhere else."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import sleep
from typing import ClassVar, TypeVar

from eventlet import GreenPool

from libs.config import clock
from libs.config.settings import Settings
from libs.contracts.events import Provider
from libs.crypto.rotation import Rotation
from libs.crypto.vault import Vault
from libs.messaging import keys
from libs.messaging.relay import Relay
from libs.messaging.runtime import Runtime, Wiring
from libs.mongo.client import answers
from libs.mongo.keys import MongoKeyStore
from libs.providers.adapters import calendars
from libs.providers.egress import Door
from libs.providers.switches import Switches
from libs.telemetry.serving import TlsServer
from libs.telemetry.trace import along
from services.auth.canary import Canary
from services.auth.desk import Desk
from services.auth.google import GoogleOAuth
from services.auth.microsoft import MicrosoftOAuth
from services.auth.oauth import OAuth
from services.auth.pages import Pages
from services.auth.safe import Safe
from services.auth.store import MongoAuthStore
from services.auth.switches import MongoSwitchBook
from services.auth.switching import Switchboard

SIDE_BY_SIDE = 20
"""Refreshes at once per process."""

SHARE_OF_ANSWER = 0.7
"""Of the time a question to us may take, the part that a refresh may use up."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Use:
    """What the service's methods find."""

    desk: Desk
    relays: tuple[Relay, ...]
    canary: Canary
    rotation: Rotation
    settings: Settings


class AuthWiring(Wiring):
    """Vault, providers, relay and pages of auth."""

    requires: ClassVar[tuple[str, ...]] = (
        "mongo_url",
        "keyring",
        "public_url",
        "google_client_id",
        "google_client_secret",
        "microsoft_client_id",
        "microsoft_client_secret",
        "tls_cert",
        "tls_key",
    )

    def build(self, runtime: Runtime) -> Use:
        settings = runtime.settings
        masters = runtime.keyring()
        database = runtime.database()
        key_store = MongoKeyStore(database)
        key_store.ensure_indexes()
        rotation = keys.rotation(masters, key_store)
        store = MongoAuthStore(database)
        store.ensure_indexes()
        book = MongoSwitchBook(database)
        runtime.watch("store", lambda: answers(database))
        kept = store.documents, store.hosts, book.documents
        relay, host_relay, switch_relay = relays = tuple(runtime.relay(documents) for documents in kept)
        board = Switchboard(book, switch_relay, clock.now, Switches())
        board.standing()  # before anything can leave
        patience = settings.rpc_timeout * SHARE_OF_ANSWER
        hasty = settings.model_copy(update={"provider_timeout": min(settings.provider_timeout, patience)})
        desk = Desk(
            store=store,
            relay=relay,
            host_relay=host_relay,
            safe=Safe(Vault(masters, key_store)),
            oauth=_providers(settings, board.known),
            refreshing=_providers(hasty, board.known),
            calendars=calendars(hasty, switches=board.known),
            switchboard=board,
            public_url=settings.public_url or "",
            link_key=masters.derive("host-link"),
            account_key=masters.derive("account-index"),
            link_seconds=settings.connect_link_seconds,
            patience=patience,
            clock=clock.now,
            sleep=sleep,
            together=side_by_side,
        )
        pages = Pages(desk, settings, lambda: runtime.ask("booking", "public_keys"))
        self.server = TlsServer(pages, settings.pages_listen, settings)
        runtime.watch("pages", lambda: self.server.up)
        return Use(desk, relays, Canary(desk, settings.canary_seconds), rotation, settings)

    def start(self) -> None:
        super().start()
        self.container.spawn_managed_thread(self.server.serve, identifier="pages")

    def stop(self) -> None:
        self.server.close()
        super().stop()


def side_by_side(work: Callable[[T], R], items: Sequence[T]) -> Iterable[R]:
    """Do the same for each, in greenlets. A pool for each call, so that one slow provider holds up nobody else."""
    results: Iterable[R] = along(GreenPool(SIDE_BY_SIDE).imap)(work, items) if items else []
    return results


def _providers(settings: Settings, switches: Switches) -> Mapping[Provider, OAuth]:
    door = Door(settings, switches=switches)
    return {"google": GoogleOAuth(door, settings), "microsoft": MicrosoftOAuth(door, settings)}

"""Each port twice: as the double that unit tests use, and as the adapter on a real MongoDB.

Every test has collections of its own.
"""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from pymongo.database import Database

from deploy.local.stack import Stack
from libs.crypto.vault import KeyStore
from libs.messaging.relay import Outbox
from libs.mongo.client import Document, connect
from libs.mongo.keys import MongoKeyStore
from libs.mongo.outbox import MongoOutbox
from libs.testing.keys import MemoryKeys
from services.booking.hosts import HostBook, MongoHostBook
from services.booking.store import BookingStore, MongoBookingStore
from services.calendar_writer.store import Ledger, MongoLedger
from tests.conftest import settings_of
from tests.unit.booking.doubles import MemoryBookings, MemoryHosts
from tests.unit.calendar_writer.doubles import MemoryLedger

MEMORY, MONGO = "memory", "mongo"
KINDS = (MEMORY, MONGO)


@dataclass
class Databases:
    """The services' own databases on the real server, seen through a prefix, so that tests do not meet."""

    stack: Stack
    known: dict[str, Database[Document]] = field(default_factory=dict)

    @contextmanager
    def own(self, service: str) -> Iterator[Database[Document]]:
        if service not in self.known:
            self.known[service] = connect(
                settings_of(self.stack, service), f"tests-{service}"
            )  # not taken for the service
        prefixed = _Prefixed(self.known[service], f"test_{uuid.uuid4().hex[:8]}_")
        try:
            yield cast(Database[Document], prefixed)
        finally:
            prefixed.drop()


class _Prefixed:
    """As much of a database as the adapters use: collections by name."""

    def __init__(self, database: Database[Document], prefix: str) -> None:
        self._database = database
        self._prefix = prefix
        self._used: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self._used.add(name)
        return self._database[self._prefix + name]

    def drop(self) -> None:
        for name in self._used:
            self._database.drop_collection(self._prefix + name)


@dataclass(frozen=True)
class Shelf:
    """A store under test and its outbox."""

    store: Any
    outbox: Outbox


@dataclass(frozen=True)
class BookingShelf(Shelf):
    store: BookingStore


@dataclass(frozen=True)
class LedgerShelf(Shelf):
    store: Ledger


@pytest.fixture(scope="session")
def databases(servers: Stack) -> Iterator[Databases]:
    made = Databases(servers)
    yield made
    for database in made.known.values():
        database.client.close()


@pytest.fixture
def mongo(request: pytest.FixtureRequest) -> Iterator[Any]:
    """`mongo("booking")` is that service's database, started only where a test asks for it."""
    with ExitStack() as open_:
        yield lambda service: open_.enter_context(request.getfixturevalue("databases").own(service))


@pytest.fixture(params=KINDS)
def bookings(request: pytest.FixtureRequest, mongo: Any) -> BookingShelf:
    if request.param == MEMORY:
        double = MemoryBookings()
        return BookingShelf(double, double.outbox)
    database = mongo("booking")
    store, outbox = MongoBookingStore(database), MongoOutbox(database["bookings"])
    store.ensure_indexes()
    outbox.ensure_index()
    return BookingShelf(store, outbox)


@pytest.fixture(params=KINDS)
def host_book(request: pytest.FixtureRequest, mongo: Any) -> HostBook:
    return MemoryHosts() if request.param == MEMORY else MongoHostBook(mongo("booking"))


@pytest.fixture(params=KINDS)
def ledger(request: pytest.FixtureRequest, mongo: Any) -> LedgerShelf:
    if request.param == MEMORY:
        double = MemoryLedger()
        return LedgerShelf(double, double.outbox)
    database = mongo("calendar-writer")
    store, outbox = MongoLedger(database), MongoOutbox(database["effects"])
    store.ensure_indexes()
    outbox.ensure_index()
    return LedgerShelf(store, outbox)


@pytest.fixture(params=KINDS)
def keys(request: pytest.FixtureRequest, mongo: Any) -> KeyStore:
    return MemoryKeys() if request.param == MEMORY else MongoKeyStore(mongo("booking"))

"""The four databases together, as whoever backs them up and restores them sees them."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import ConnectionFailure, ExecutionTimeout, OperationFailure, PyMongoError

from deploy.cli import environment
from deploy.cli.errors import Trouble
from libs.mongo.client import Document, connect

DATABASES: Final[Mapping[str, str]] = {
    "auth": "valet_auth",
    "availability": "valet_availability",
    "booking": "valet_booking",
    "calendar-writer": "valet_calendar_writer",
}
"""Service to its database."""
PATIENCE: Final = 60.0  # seconds for one exchange with the server
UNAUTHORIZED, NO_SPACE, SNAPSHOT_TOO_OLD, SNAPSHOT_UNAVAILABLE = 13, 14031, 239, 246  # server error codes
PASSING: Final = 2.0  # seconds; a service that is refused at start is connected for less
RIGHTS = "give its user readWrite on the four databases and clusterMonitor on admin (deploy/README.md)"

RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)


@dataclass(frozen=True)
class Stores:
    """The server and the names of the databases on it."""

    client: MongoClient[Document]
    names: Mapping[str, str]
    _home: Any  # the database object whose concerns the others share

    def collection(self, service: str, name: str) -> Collection[Document]:
        """A collection; every write to it is on a majority's journals."""
        return self.client.get_database(
            self.names[service], write_concern=self._home.write_concern, read_concern=self._home.read_concern
        )[name]

    def raw(self, database: str, name: str) -> Collection[RawBSONDocument]:
        """A collection by its database's own name, whose documents stay as they are."""
        majority: Any = self.client.get_database(database, RAW, write_concern=self._home.write_concern)
        return cast(Collection[RawBSONDocument], majority[name])

    def running(self, pause: Callable[[float], None] = time.sleep) -> list[str]:
        """The services that are connected to the server, and stay so. Raises PyMongoError."""
        first = self._connected()
        if not first:
            return []
        pause(PASSING)
        return sorted({service for service, _ in first & self._connected()})

    def _connected(self) -> set[tuple[str, str]]:
        services = {f"valet-{service}": service for service in self.names}
        wanted: list[Document] = [
            {"$currentOp": {"allUsers": True, "idleConnections": True}},
            {"$match": {"appName": {"$in": list(services)}}},
        ]
        with self.client.admin.aggregate(wanted) as found:
            return {(services[op["appName"]], str(op.get("client", ""))) for op in found}


@contextmanager
def opened(names: Mapping[str, str] = DATABASES) -> Iterator[Stores]:
    """The databases that VALET_BACKUP_MONGO_URL leads to. Raises Trouble, also in place of whatever the driver raises."""
    settings = environment.settings("backup_mongo_url")
    home = connect(
        settings.model_copy(update={"mongo_url": settings.backup_mongo_url, "store_timeout": PATIENCE}), "backup"
    )
    try:
        yield Stores(home.client, names, home)
    except PyMongoError as error:
        raise trouble(error) from None
    finally:
        home.client.close()


def trouble(error: PyMongoError) -> Trouble:
    """What went wrong, without the driver's text: it may quote documents."""
    code = error.code if isinstance(error, OperationFailure) else None
    if code == UNAUTHORIZED:
        return Trouble("the store does not let the user of VALET_BACKUP_MONGO_URL do this", RIGHTS)
    if code == SNAPSHOT_TOO_OLD:
        what = "reading took longer than the server keeps an instant to be read at; no backup was made"
        return Trouble(
            what, "raise the server's parameter minSnapshotHistoryWindowInSeconds (300 by default), and do it again"
        )
    if code == NO_SPACE:
        return Trouble("the store has no space left on its disk", "give it more, then run the same command again")
    if isinstance(error, ConnectionFailure | ExecutionTimeout):
        do = "run `valet doctor`, then the same command again: it begins anew and harms nothing"
        return Trouble(f"the store does not answer ({type(error).__name__})", do)
    named = f"{type(error).__name__}{'' if code is None else f', code {code}'}"
    return Trouble(f"the store could not do this ({named})", "see the server's log; then run the same command again")

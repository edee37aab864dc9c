"""Reading the four databases as they are at one instant, while everything goes on writing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from msgspec import structs
from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure

from deploy.cli.backup.archive import FORMAT, Index, Manifest, Member, Writer
from deploy.cli.backup.stores import SNAPSHOT_UNAVAILABLE, Stores
from libs.mongo.maintenance import COLLECTION

KEYS = "keys"
"""The collection of data keys, in every database that has any."""
TRIES = 5
NOT_OPTIONS = ("key", "v", "ns", "background")

Name = tuple[str, str]
"""A database and a collection in it."""
Progress = Callable[[int], None]
"""Told how many more documents are done."""


def take(stores: Stores, writer: Writer, progress: Progress, apart: Writer | None = None) -> Manifest:
    """Write all collections as of one instant, and the manifest; data keys into the file `apart` if there is one.

    Raises PyMongoError, OSError.
    """
    with _instant(stores) as (session, names, as_of):
        keys = [_copied(stores, session, apart or writer, name, progress) for name in names if name[1] == KEYS]
        rest = [_copied(stores, session, writer, name, progress) for name in names if name[1] != KEYS]
        masters = {database: _masters(stores, session, database) for database, name in names if name == KEYS}
        server = str(stores.client.server_info()["version"])
    manifest = Manifest(format=FORMAT, as_of=as_of.isoformat(), server=server, members=[*rest, *keys], masters=masters)
    if apart is None:
        writer.finish(manifest)
    else:
        apart.finish(structs.replace(manifest, members=keys, keys="only"))
        writer.finish(structs.replace(manifest, members=rest, keys="apart"))
    return manifest


def size(stores: Stores) -> int:
    """How many documents there are, roughly. Raises PyMongoError."""
    return sum(stores.client[database][name].estimated_document_count() for database, name in listed(stores))


def listed(stores: Stores) -> list[Name]:
    """The collections that are backed up and restored: all but the restore's own. Raises PyMongoError."""
    return [
        (database, name)
        for database in stores.names.values()
        for name in sorted(stores.client[database].list_collection_names(filter={"type": "collection"}))
        if not name.startswith((COLLECTION, "system."))
    ]


@contextmanager
def _instant(stores: Stores) -> Iterator[tuple[ClientSession, list[Name], datetime]]:
    """A session in which everything is read as of one instant, the collections there are then, and about when that is."""
    for left in reversed(range(TRIES)):
        with stores.client.start_session(snapshot=True) as session:
            names, now = listed(stores), _now(stores)
            if _fixed(stores, session, names) and listed(stores) == names:
                yield session, names, now
                return
        if not left:
            raise OperationFailure("collections come and go", SNAPSHOT_UNAVAILABLE)


def _fixed(stores: Stores, session: ClientSession, names: list[Name]) -> bool:
    """Read something: the first read fixes the instant. False if the server cannot yet, since a collection is so new."""
    try:
        for database, name in names:
            stores.client[database][name].find_one({}, {"_id": 1}, session=session)
    except OperationFailure as error:
        if error.code != SNAPSHOT_UNAVAILABLE:
            raise
        return False
    return True


def _now(stores: Stores) -> datetime:
    now: datetime = stores.client.admin.command("hello")["localTime"]
    return now if now.tzinfo else now.replace(tzinfo=UTC)


def _copied(stores: Stores, session: ClientSession, writer: Writer, name: Name, progress: Progress) -> Member:
    database, collection = name
    with writer.collection(database, collection) as writing:
        for document in stores.raw(database, collection).find({}, session=session):
            writing.add(bytes(document.raw))
            progress(1)
    return writing.member(database, collection, _unique(stores, name))


def _unique(stores: Stores, name: Name) -> list[Index]:
    found = stores.client[name[0]][name[1]].list_indexes()
    return [
        Index(key=list(index["key"].items()), options={n: v for n, v in index.items() if n not in NOT_OPTIONS})
        for index in found
        if index.get("unique")
    ]


def _masters(stores: Stores, session: ClientSession, database: str) -> dict[str, int]:
    """How many data keys each master key wraps."""
    grouped = [{"$group": {"_id": "$master", "count": {"$sum": 1}}}]
    return {str(d["_id"]): d["count"] for d in stores.client[database][KEYS].aggregate(grouped, session=session)}

"""Putting a backup in the place of what is there: marked before the first change, erased again before the mark goes.

Whoever is stopped anywhere leaves the mark, and services that see it do not start. The same command again comes to the same end:
what must not be undone was put aside before anything was replaced, and is never read anew from what is only half there.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from deploy.cli.backup import carried, erased
from deploy.cli.backup.archive import ArchiveBroken, Manifest, Member, Reader
from deploy.cli.backup.erased import Erased, Reapplied
from deploy.cli.backup.snapshot import Progress, listed
from deploy.cli.backup.stores import Stores
from deploy.cli.errors import Trouble
from libs.mongo.client import Document
from libs.mongo.guard import DUPLICATE_KEY
from libs.mongo.maintenance import COLLECTION, MARK

PAGE, PAGE_BYTES = 1000, 4 * 2**20

Phase = Literal["putting-aside", "loading", "done", "applying"]
MAIN: Final = "booking"
"""Its mark comes first and goes last, and is the one that says how far things are."""


@dataclass(frozen=True, slots=True)
class Losses:
    """What is newer than the backup, and is gone with the restore."""

    bookings_made: int = 0
    bookings_changed: int = 0
    calendars_connected: int = 0


@dataclass(slots=True)
class Restored:
    """What came of it."""

    documents: int = 0
    people: int = 0
    losses: Losses = field(default_factory=Losses)
    again: Reapplied = field(default_factory=Reapplied)


def phase(stores: Stores) -> Phase | None:
    """How far an earlier run came, if one was stopped. Raises PyMongoError."""
    mark = _mark(stores)
    return mark["phase"] if mark else None


def losses(stores: Stores, manifest: Manifest) -> Losses:
    """What is newer than the backup; if a run was stopped: what was, before it began. Raises PyMongoError."""
    mark = _mark(stores)
    if mark and mark["phase"] != "applying":
        return Losses(**mark["losses"])
    since = datetime.fromisoformat(manifest.as_of)
    bookings, connections = stores.collection("booking", "bookings"), stores.collection("auth", "connections")
    before = {"received": {"$lte": since}, "history.at": {"$gt": since}}
    return Losses(
        bookings.count_documents({"received": {"$gt": since}}),
        bookings.count_documents(before),
        connections.count_documents({"made": {"$gt": since}}),
    )


def begin(stores: Stores, found: Losses, first: Phase = "putting-aside") -> None:
    """Set the marks; those of an earlier run stay as they are. Raises PyMongoError."""
    mark = {"state": "restoring", "phase": first, "begun_at": datetime.now(UTC), "losses": asdict(found)}
    for service in (MAIN, *stores.names):
        stores.collection(service, COLLECTION).update_one({"_id": MARK}, {"$setOnInsert": mark}, upsert=True)


def end(stores: Stores) -> None:
    """Take the marks away, and what was put aside. Raises PyMongoError."""
    _advance(stores, "done")
    carried.forget(stores)
    for service in (*(name for name in stores.names if name != MAIN), MAIN):
        stores.collection(service, COLLECTION).drop()


def restore(
    stores: Stores, readers: Sequence[Reader], lists: Iterable[Iterable[Erased]], progress: Progress
) -> Restored:
    """Replace everything by the backup (its data, and its keys if they are apart), once `begin` has set the marks.

    `lists` hold whoever they are given to, also where an earlier run that was stopped did not have them.
    Raises PyMongoError, ArchiveBroken.
    """
    done = Restored(losses=losses(stores, readers[0].manifest))
    first = phase(stores)
    if first == "putting-aside":
        carried.put_aside(stores)
    if first != "done":
        carried.join(stores, lists)
        _advance(stores, "loading")
        done.documents = _load(stores, readers, progress)
        done.people, done.again = _again(stores)
        end(stores)
    else:
        done.people, done.again = finish(stores, lists)
    return done


def finish(stores: Stores, lists: Iterable[Iterable[Erased]]) -> tuple[int, Reapplied]:
    """End a run that was stopped when everything was in its place; whomever these lists hold is erased before. Of how many
    people the whole list is, and what was erased. Raises PyMongoError."""
    carried.put_aside(stores)
    carried.join(stores, lists)
    done = _again(stores)
    end(stores)
    return done


def _again(stores: Stores) -> tuple[int, Reapplied]:
    people = carried.put_back_list(stores)
    done = erased.reapply(stores)
    carried.put_back(stores)
    return people, done


def fitting(stores: Stores, manifest: Manifest) -> None:
    """Raises Trouble if the backup is of other databases."""
    strange = {member.database for member in manifest.members} - set(stores.names.values())
    if strange:
        raise Trouble(
            f"the backup holds databases that are not Valet's: {', '.join(sorted(strange))}", "give another FILE"
        )


def _load(stores: Stores, readers: Sequence[Reader], progress: Progress) -> int:
    members = [(reader, member) for reader in readers for member in reader.manifest.members]
    for database, name in set(listed(stores)) - {(member.database, member.collection) for _, member in members}:
        stores.raw(database, name).drop()
    return sum(_loaded(stores, reader, member, progress) for reader, member in members)


def _loaded(stores: Stores, reader: Reader, member: Member, progress: Progress) -> int:
    collection = stores.raw(member.database, member.collection)
    collection.drop()
    for (
        index
    ) in member.unique:  # a promise that the data must keep; all other indexes the services make when they start
        collection.create_index(index.key, **index.options)
    for page in _paged(reader.documents(member)):
        _insert(collection, page, member)
        progress(len(page))
    return member.documents


def _insert(collection: Collection[RawBSONDocument], page: list[RawBSONDocument], member: Member) -> None:
    try:
        collection.insert_many(page, ordered=False)
    except BulkWriteError as error:
        codes = {fault["code"] for fault in error.details.get("writeErrors", [])}
        if codes != {DUPLICATE_KEY}:
            raise
        raise ArchiveBroken(f"{member.path} holds what a unique index does not let stand twice") from None


def _paged(documents: Iterator[bytes]) -> Iterator[list[RawBSONDocument]]:
    page: list[RawBSONDocument] = []
    size = 0
    for raw in documents:
        page.append(RawBSONDocument(raw))
        size += len(raw)
        if len(page) == PAGE or size >= PAGE_BYTES:
            yield page
            page, size = [], 0
    if page:
        yield page


def _mark(stores: Stores) -> Document | None:
    found: Document | None = stores.collection(MAIN, COLLECTION).find_one({"_id": MARK})
    return found


def _advance(stores: Stores, to: Phase) -> None:
    changes: dict[str, Any] = {"$set": {"phase": to}}
    stores.collection(MAIN, COLLECTION).update_one({"_id": MARK}, changes)

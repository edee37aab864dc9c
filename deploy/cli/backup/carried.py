"""What a restore must not undo: erasures and withdrawn grants of after the backup. Put aside before the first document is replaced.

It rests in the collection `maintenance` of its own database, so that a restore that is stopped anywhere can be run again: what is
live is read only while it is whole.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from pymongo import ReplaceOne
from pymongo.collection import Collection

from deploy.cli.backup import erased
from deploy.cli.backup.erased import Erased, owners, pages
from deploy.cli.backup.stores import Stores
from libs.mongo.client import Document
from libs.mongo.maintenance import COLLECTION

PAGE = 200
LIST: Final = "maintenance-erased"
"""Where the erasure list grows together, in booking's database."""
LEAVING: Final = ("disconnecting", "disconnected")


def join(stores: Stores, lists: Iterable[Iterable[Erased]]) -> None:
    """Join these with the erasure list that is put aside. Safe to repeat. Raises PyMongoError."""
    joined = stores.collection("booking", LIST)
    for each in lists:
        erased.merge(joined, each)


def put_aside(stores: Stores) -> None:
    """Put aside the live erasure list; erasures that are not finished, and what they still have in hand; the connections that
    their hosts ended. Safe to repeat. Raises PyMongoError."""
    join(stores, [erased.in_collection(stores.collection("booking", "erased"))])
    _aside(stores, "booking", "erasures", {})
    for ids in _in_hand(stores):
        _aside(stores, "booking", "bookings", {"_id": {"$in": ids}}, without=("claims",))
        _aside(stores, "calendar-writer", "effects", {"_id": {"$in": ids}})
    _aside(stores, "auth", "connections", {"state": {"$in": LEAVING}})
    for some in pages(_ids(stores.collection("auth", "connections"), {"state": LEAVING[0]}), PAGE):
        _aside(stores, "auth", "keys", {"_id": {"$in": list(some)}})


def put_back_list(stores: Stores) -> int:
    """The erasure list, into its own collection; of how many people it is. Raises PyMongoError."""
    into = stores.collection("booking", "erased")
    erased.merge(into, erased.in_collection(stores.collection("booking", LIST)))
    return into.count_documents({})


def put_back(stores: Stores) -> None:
    """All the rest, over what was restored. Safe to repeat. Raises PyMongoError."""
    for service in stores.names:
        aside = stores.collection(service, COLLECTION)
        for page in pages(aside.find({"in": {"$exists": True}}).sort("order", 1), PAGE):
            for each in page:
                into = stores.collection(service, each["in"])
                into.replace_one({"_id": each["document"]["_id"]}, each["document"], upsert=True)
    _finish_erasures(stores)
    _destroy_keys(stores)


def forget(stores: Stores) -> None:
    """Throw away what was put aside. Raises PyMongoError."""
    stores.collection("booking", LIST).drop()
    for service in stores.names:
        stores.collection(service, COLLECTION).delete_many({"in": {"$exists": True}})


def _aside(stores: Stores, service: str, name: str, wanted: Document, without: tuple[str, ...] = ()) -> None:
    source, aside = stores.collection(service, name), stores.collection(service, COLLECTION)
    for page in pages(source.find(wanted, dict.fromkeys(without, 0) or None), PAGE):
        aside.bulk_write([_entry(name, document) for document in page], ordered=False)


def _entry(name: str, document: Document) -> ReplaceOne[Document]:
    # Ended connections first: another of the same account may only then be there.
    order = 1 if document.get("state") == LEAVING[0] else 0
    id = f"{name}/{document['_id']}"
    return ReplaceOne({"_id": id}, {"in": name, "order": order, "document": document}, upsert=True)


def _in_hand(stores: Stores) -> Iterator[list[str]]:
    """Bookings that erasures have in hand: their entries may stand in calendars still. In pages."""
    bookings = stores.collection("booking", "bookings")
    yield from map(list, pages(_ids(bookings, {"erasure": {"$exists": True}}), PAGE))
    for job in stores.collection("booking", "erasures").find({"state": "open"}, {"person": 1, "epoch": 1}):
        if "person" in job:
            theirs = owners(job["person"], job.get("epoch", 1))
            yield from map(list, pages(_ids(bookings, {"person": {"$in": theirs}}), PAGE))


def _finish_erasures(stores: Stores) -> None:
    """Of an erasure that was finished after the backup, nothing is in hand any more."""
    erasures, bookings = stores.collection("booking", "erasures"), stores.collection("booking", "bookings")
    for page in pages(_ids(erasures, {"state": {"$ne": "open"}}), erased.PAGE):
        bookings.delete_many({"erasure": {"$in": list(page)}})


def _destroy_keys(stores: Stores) -> None:
    """The keys of grants that their hosts took back."""
    connections, keys = stores.collection("auth", "connections"), stores.collection("auth", "keys")
    for page in pages(_ids(connections, {"state": LEAVING[1]}), erased.PAGE):
        keys.delete_many({"_id": {"$in": list(page)}})


def _ids(collection: Collection[Document], wanted: Document) -> Iterator[str]:
    return (document["_id"] for document in collection.find(wanted, {"_id": 1}))

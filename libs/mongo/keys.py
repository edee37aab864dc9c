"""Wrapped data keys in MongoDB, in a collection of their own."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from bson import Binary
from pymongo import ReturnDocument, UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from libs.crypto.keyring import Wrapped
from libs.crypto.rotation import Exchange
from libs.mongo.client import Document
from libs.mongo.guard import duplicates, guarded


class MongoKeyStore:
    """The key store of one service."""

    def __init__(self, database: Database[Document]) -> None:
        self._keys = database["keys"]
        self._marks = database["keyring"]

    def ensure_indexes(self) -> None:
        """By master key: counting must not read every key."""
        with guarded():
            self._keys.create_index([("master", 1), ("_id", 1)], name="master")

    def get(self, owners: Sequence[str]) -> Mapping[str, Wrapped]:
        """The wrapped keys of those that have one. Whoever reads a key may be about to use it: it is not `retired` any more."""
        wanted = {"_id": {"$in": list(owners)}}
        with guarded():
            found = list(self._keys.find(wanted))
            if any("retired" in key for key in found):
                self._keys.update_many({**wanted, "retired": {"$exists": True}}, {"$unset": {"retired": ""}})
                found = list(self._keys.find(wanted))  # what was destroyed in between is not used
            return _wrapped(found)

    def add_missing(self, keys: Mapping[str, Wrapped]) -> Collection[str]:
        """Store each unless its owner has one already. The owners that had one."""
        now = datetime.now(UTC)
        new = [
            {"_id": owner, "master": key.master, "wrapped": Binary(key.blob), "created": now}
            for owner, key in keys.items()
        ]
        with guarded():
            try:
                self._keys.insert_many(new, ordered=False)
            except BulkWriteError as error:
                owners = list(keys)
                return {owners[at] for at in duplicates(error)}
        return ()

    def remove(self, owner: str) -> bool:
        """Destroy a key; false if there was none."""
        with guarded():
            return self._keys.delete_one({"_id": owner}).deleted_count == 1

    def remove_all(self, owners: Sequence[str]) -> int:
        """Destroy the keys of all these; how many there were."""
        with guarded():
            return self._keys.delete_many({"_id": {"$in": list(owners)}}).deleted_count

    def retire(self, owners: Sequence[str]) -> None:
        """Mark keys that may not be needed any more. They are destroyed later, unless they are read before."""
        with guarded():
            self._keys.update_many({"_id": {"$in": list(owners)}}, {"$set": {"retired": datetime.now(UTC)}})

    def counted(self) -> Mapping[str, int]:
        """How many data keys each master wraps."""
        with guarded():
            return {name: self._keys.count_documents({"master": name}) for name in self._keys.distinct("master")}

    def wrapped_by(self, master: str, most: int) -> Mapping[str, Wrapped]:
        """Some data keys that this master wraps."""
        with guarded():
            return _wrapped(self._keys.find({"master": master}).limit(most))

    def not_wrapped_by(self, master: str, most: int, after: str) -> Mapping[str, Wrapped]:
        """Data keys that another master wraps, in the order of their owners, beginning behind `after`."""
        with guarded():
            found = self._keys.find({"master": {"$ne": master}, "_id": {"$gt": after}})
            return _wrapped(found.sort("_id", 1).limit(most))

    def exchange(self, changes: Sequence[Exchange]) -> int:
        """Put each new blob in the place of the old one where that still stands. How many that were."""
        writes = [
            UpdateOne(
                {"_id": each.owner, "master": each.old.master, "wrapped": Binary(each.old.blob)},
                {"$set": {"master": each.new.master, "wrapped": Binary(each.new.blob)}},
            )
            for each in changes
        ]
        with guarded():
            return self._keys.bulk_write(writes, ordered=False).modified_count if writes else 0

    def mark(self, mark: bytes) -> bytes:
        """Remember what tells this installation's index; what was remembered first stays, and is the answer."""
        with guarded():
            kept = self._marks.find_one_and_update(
                {"_id": "index"},
                {"$setOnInsert": {"mark": Binary(mark)}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
            return bytes(kept["mark"])


def _wrapped(found: Iterable[Document]) -> dict[str, Wrapped]:
    return {key["_id"]: Wrapped(key["master"], bytes(key["wrapped"])) for key in found}

"""Wrapped data keys in MongoDB, in a collection of their own."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pymongo import UpdateOne
from pymongo.database import Database

from libs.crypto.keyring import Wrapped
from libs.mongo.client import Document
from libs.mongo.guard import guarded


class MongoKeyStore:
    """The key store of one service."""

    def __init__(self, database: Database[Document]) -> None:
        self._keys = database["keys"]

    def get(self, owners: Sequence[str]) -> Mapping[str, Wrapped]:
        """The wrapped keys of those that have one."""
        with guarded():
            found = self._keys.find({"_id": {"$in": list(owners)}})
            return {key["_id"]: Wrapped(key["master"], bytes(key["wrapped"])) for key in found}

    def add_missing(self, keys: Mapping[str, Wrapped]) -> None:
        """Store each unless its owner has one already."""
        now = datetime.now(UTC)
        writes = [
            UpdateOne(
                {"_id": owner},
                {"$setOnInsert": {"master": key.master, "wrapped": key.blob, "created": now}},
                upsert=True,
            )
            for owner, key in keys.items()
        ]
        with guarded():
            self._keys.bulk_write(writes, ordered=False)

    def remove(self, owner: str) -> bool:
        """Destroy a key; false if there was none."""
        with guarded():
            return self._keys.delete_one({"_id": owner}).deleted_count == 1

"""What retention needs to know and to do in the store: the port, and MongoDB behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pymongo import ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from libs.mongo.client import Document
from libs.mongo.guard import guarded

LEASE = "retention"
MOST_COUNTED = 100_000


@dataclass(frozen=True, slots=True)
class Overdue:
    """How many documents should be gone (at most 100,000 are counted), and when the oldest of them was over."""

    count: int = 0
    oldest: datetime | None = None


class Retained(Protocol):
    """What a sweep needs. Every method raises StoreUnavailable if the store does not answer in time."""

    def lease(self, now: datetime, until: datetime) -> str | None:
        """The owner of a key up to which the last sweep looked, if nobody else sweeps; then nobody else does before `until`."""
        ...

    def keep_place(self, after: str) -> None:
        """Up to where this sweep looked."""
        ...

    def forget(self, before: datetime, most: int) -> int:
        """Delete bookings and refused changes that were over, and received, before then, at most `most` of a kind; how many.

        Not while an event waits in their outbox, a hold or move is undecided, or an erasure has them in hand.
        """
        ...

    def overdue(self, before: datetime) -> Overdue:
        """What was over, and received, before then and is there still, for whatever reason."""
        ...

    def owners(self, after: str, before: datetime, most: int) -> Sequence[str]:
        """Owners of keys made before then and not marked, in their order, beginning behind `after`."""
        ...

    def needed(self, owners: Sequence[str]) -> set[str]:
        """Those under whose key something is stored."""
        ...

    def retired(self, before: datetime, most: int) -> Sequence[str]:
        """Owners of keys that have been marked as retired since before then."""
        ...

    def keep(self, owners: Sequence[str]) -> None:
        """Take the mark away."""
        ...

    def destroy(self, owners: Sequence[str], before: datetime) -> int:
        """Destroy those of these keys that are still marked since before then; how many that were."""
        ...


class MongoRetained:
    """Bookings and keys where they are; the lease in a document of its own."""

    def __init__(self, database: Database[Document]) -> None:
        self._bookings = database["bookings"]
        self._keys = database["keys"]
        self._leases = database["leases"]

    def ensure_indexes(self, *, forgets: bool) -> None:
        """The indexes that a sweep needs; those of bookings only where any are to be forgotten. Idempotent."""
        with guarded():
            self._keys.create_index("retired", name="retired", sparse=True)
            if forgets:
                self._bookings.create_index([("span.end", 1), ("received", 1), ("at", 1)], name="over")

    def lease(self, now: datetime, until: datetime) -> str | None:
        with guarded():
            try:
                taken = self._leases.find_one_and_update(
                    {"_id": LEASE, "until": {"$lte": now}},
                    {"$set": {"until": until}},
                    upsert=True,
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError:  # somebody else has it: nothing matched, and there can be only one
                return None
            return str(taken.get("after", ""))

    def keep_place(self, after: str) -> None:
        with guarded():
            self._leases.update_one({"_id": LEASE}, {"$set": {"after": after}})

    def forget(self, before: datetime, most: int) -> int:
        settled = {"outbox.0": {"$exists": False}, "hold_until": {"$exists": False}, "erasure": {"$exists": False}}
        with guarded():
            return sum(self._forget({**each, **settled}, most) for each in _over(before))

    def overdue(self, before: datetime) -> Overdue:
        with guarded():
            counts = [self._bookings.count_documents(each, limit=MOST_COUNTED) for each in _over(before)]
            firsts = [
                self._bookings.find_one(each, sort=[("span.end", 1), ("received", 1), ("at", 1)])
                for each in _over(before)
            ]
        return Overdue(min(sum(counts), MOST_COUNTED), min((_ended(first) for first in firsts if first), default=None))

    def owners(self, after: str, before: datetime, most: int) -> Sequence[str]:
        wanted = {"_id": {"$gt": after}, "created": {"$lt": before}, "retired": {"$exists": False}}
        with guarded():
            return [key["_id"] for key in self._keys.find(wanted, {"_id": 1}).sort("_id", 1).limit(most)]

    def needed(self, owners: Sequence[str]) -> set[str]:
        with guarded():
            found: list[Document] = [{"$match": {"person": {"$in": list(owners)}}}, {"$group": {"_id": "$person"}}]
            return {each["_id"] for each in self._bookings.aggregate(found)} if owners else set()

    def retired(self, before: datetime, most: int) -> Sequence[str]:
        with guarded():
            found = self._keys.find({"retired": {"$lt": before}}, {"_id": 1}).sort("retired", 1).limit(most)
            return [key["_id"] for key in found]

    def keep(self, owners: Sequence[str]) -> None:
        with guarded():
            self._keys.update_many({"_id": {"$in": list(owners)}}, {"$unset": {"retired": ""}})

    def destroy(self, owners: Sequence[str], before: datetime) -> int:
        with guarded():
            wanted = {"_id": {"$in": list(owners)}, "retired": {"$lt": before}}
            return self._keys.delete_many(wanted).deleted_count if owners else 0

    def _forget(self, wanted: Document, most: int) -> int:
        ids = [document["_id"] for document in self._bookings.find(wanted, {"_id": 1}).limit(most)]
        return self._bookings.delete_many({**wanted, "_id": {"$in": ids}}).deleted_count if ids else 0


def _over(before: datetime) -> tuple[Document, ...]:
    """With a time; bookings without one; refused changes without one. Each is a range of the index `over`."""
    early = {"$lt": before}
    timed = {"span.end": early, "$or": [{"received": early}, {"at": early}]}
    return timed, {"span.end": None, "received": early}, {"span.end": None, "received": None, "at": early}


def _ended(document: Document) -> datetime:
    """When the last of it was over: the booking's time, or its receipt if that was later."""
    received: datetime = document.get("received") or document["at"]
    end: datetime | None = document.get("span", {}).get("end")
    return max(end, received) if end else received

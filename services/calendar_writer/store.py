"""The ledger of effects: what was meant to be written, what was tried, what stands. The port, and MongoDB behind it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from pymongo import UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from libs.contracts.reasons import Reason
from libs.mongo.client import Document
from libs.mongo.errors import StoreUnavailable
from libs.mongo.guard import duplicates, guarded
from libs.mongo.outbox import Pending, as_document
from services.calendar_writer.domain import Effect, Standing


class Ledger(Protocol):
    """What the handlers need. Every method raises StoreUnavailable if the store does not answer in time."""

    def get(self, bookings: Sequence[str]) -> Mapping[str, Effect]: ...

    def begin(self, effects: Sequence[Effect], now: datetime) -> set[str]:
        """Store each as intended, before its try. Returns the bookings that another worker has in hand: leave those alone."""
        ...

    def end(self, effects: Sequence[tuple[Effect, Pending | None]]) -> None:
        """Store how each came out, with the event that tells of it."""
        ...

    def oldest_open(self) -> datetime | None:
        """Since when the oldest effect without an end has been open."""
        ...


class MongoLedger:
    """One document per booking."""

    def __init__(self, database: Database[Document]) -> None:
        self.documents = database["effects"]

    def ensure_indexes(self) -> None:
        """The index for what is open. Idempotent."""
        with guarded():
            open_ = {"standing": Standing.INTENDED.value}
            self.documents.create_index("since", name="open", partialFilterExpression=open_)

    def get(self, bookings: Sequence[str]) -> Mapping[str, Effect]:
        with guarded():
            found = self.documents.find({"_id": {"$in": list(bookings)}}, {"outbox": 0})
            return {document["_id"]: _effect(document) for document in found}

    def begin(self, effects: Sequence[Effect], now: datetime) -> set[str]:
        if not effects:
            return set()
        writes = [_begin(effect, now) for effect in effects]
        with guarded():
            try:
                self.documents.bulk_write(writes, ordered=False)
            except BulkWriteError as error:
                return {effects[at].booking for at in duplicates(error)}
        return set()

    def end(self, effects: Sequence[tuple[Effect, Pending | None]]) -> None:
        writes = [_end(effect, event) for effect, event in effects]
        if not writes:
            return
        with guarded():
            try:
                self.documents.bulk_write(writes, ordered=False)
            except BulkWriteError:
                raise StoreUnavailable("bulk write failed") from None

    def oldest_open(self) -> datetime | None:
        with guarded():
            found = self.documents.find_one({"standing": Standing.INTENDED.value}, {"since": 1}, sort=[("since", 1)])
            return found["since"] if found else None


def _begin(effect: Effect, now: datetime) -> UpdateOne:
    free = {"$or": [{"busy_until": {"$exists": False}}, {"busy_until": {"$lt": now}}]}
    # If another worker has it, nothing matches, and the upsert collides on _id: that is how we are told.
    return UpdateOne({"_id": effect.booking, **free}, {"$set": _fields(effect), "$unset": _gone(effect)}, upsert=True)


def _end(effect: Effect, event: Pending | None) -> UpdateOne:
    update: Document = {"$set": _fields(effect), "$unset": _gone(effect)}
    if event is not None:
        update["$push"] = {"outbox": as_document(event)}
    # Whoever lost the lease and comes late must not write over a newer version.
    return UpdateOne({"_id": effect.booking, "version": {"$lte": effect.version}}, update)


def _fields(effect: Effect) -> Document:
    fields: Document = {
        "host": effect.host,
        "connection": effect.connection,
        "provider": effect.provider,
        "calendar": effect.calendar,
        "event_id": effect.event_id,
        "transaction_id": effect.transaction_id,
        "mark": effect.mark,
        "since": effect.since,
        "generation": effect.generation,
        "standing": effect.standing.value,
        "version": effect.version,
        "attempts": effect.attempts,
    }
    optional = {
        "remote_id": effect.remote_id,
        "busy_until": effect.busy_until,
        "reason": effect.reason.value if effect.reason else None,
    }
    return fields | {name: value for name, value in optional.items() if value is not None}


def _gone(effect: Effect) -> Document:
    return {name: "" for name in ("remote_id", "busy_until", "reason") if getattr(effect, name) is None}


def _effect(document: Document) -> Effect:
    fields = {name: value for name, value in document.items() if name in Effect.__slots__}
    reason = document.get("reason")
    return Effect(
        booking=document["_id"],
        **{**fields, "standing": Standing(document["standing"]), "reason": Reason(reason) if reason else None},
    )

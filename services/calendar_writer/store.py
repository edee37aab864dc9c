"""The ledger of effects: what was meant to be written, what was tried, what stands. The port, and MongoDB behind it."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from pymongo import InsertOne, UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from libs.contracts.events import Provider
from libs.contracts.reasons import Reason
from libs.mongo.client import Document
from libs.mongo.guard import duplicates, guarded
from libs.mongo.many import replace_each, where
from libs.mongo.outbox import Pending, as_document
from services.calendar_writer.domain import OPEN, Effect, Standing
from services.calendar_writer.records import effect_of, update_of

MOST_OVER = 500
"""Effects of bookings that are over, looked at no more, in one round: so that a long row of them does not hold up the others."""
Change = tuple[Effect, Sequence[Pending]]
"""An effect as it is to be stored, one revision after the one that was read, and the events that tell of it."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many effects stand so, and since when the oldest of them does."""

    count: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Claim:
    """Which effects a worker takes for itself: what is due by `by`, at most so many, of one host if one is named.

    `waits` narrows it to what waits for a provider. Nobody else is given them before `until`; with `ahead`, an effect whose
    booking is further off than that, not before then.
    """

    by: datetime
    until: datetime
    most: int
    host: str | None = None
    ahead: timedelta | None = None
    waits: "Waits | None" = None


@dataclass(frozen=True, slots=True)
class Waits:
    """Effects that wait for this provider, for one of these reasons, and are due later than `beyond`."""

    provider: Provider
    reasons: frozenset[Reason]
    beyond: datetime


class Ledger(Protocol):
    """What the handlers need. Every method raises StoreUnavailable if the store does not answer in time."""

    def get(self, bookings: Sequence[str]) -> Mapping[str, Effect]: ...

    def begin(self, changes: Sequence[Change], now: datetime) -> set[str]:
        """Store each, unless another worker has it in hand or changed it since it was read: returns those, untouched."""
        ...

    def end(self, changes: Sequence[Change]) -> None:
        """Store how each came out, as the next revision: who read it while it was in hand is turned away by that. One that
        another worker took over when the lease was over is left to that worker."""
        ...

    def parked(self, host: str) -> Sequence[str]:
        """The bookings whose effects wait until this host connects."""
        ...

    def left_behind(self, claim: Claim) -> Sequence[Effect]:
        """Open effects that are overdue, the longest first."""
        ...

    def to_look_at(self, claim: Claim, now: datetime) -> Sequence[Effect]:
        """Written effects whose next look is due, the longest first; those whose booking is over need none any more."""
        ...

    def coming(self, hosts: Sequence[str], after: datetime, removed: datetime, most: int) -> Sequence[Effect]:
        """Effects of these hosts' bookings that end after an instant, soonest first; what was removed, only if that was later
        than `removed`."""
        ...

    def counts(self, standings: Sequence[Standing]) -> Mapping[Standing, Count]:
        """How many effects stand how; none is left out."""
        ...


class MongoLedger:
    """One document per booking."""

    def __init__(self, database: Database[Document]) -> None:
        self.documents = database["effects"]

    def ensure_indexes(self) -> None:
        """The indexes for what is open, what is to be looked at, and a host's bookings to come. Idempotent."""
        unfinished = {"standing": {"$in": [*_values(OPEN), Standing.FAILED.value]}}
        with guarded():
            self.documents.create_index(
                [("standing", 1), ("since", 1)], name="unfinished", partialFilterExpression=unfinished
            )
            self.documents.create_index("due", name="due", sparse=True)
            self.documents.create_index("look_at", name="looks", sparse=True)
            self.documents.create_index([("host", 1), ("end", 1)], name="coming")

    def get(self, bookings: Sequence[str]) -> Mapping[str, Effect]:
        with guarded():
            found = self.documents.find({"_id": {"$in": list(bookings)}}, {"outbox": 0})
            return {document["_id"]: effect_of(document) for document in found}

    def begin(self, changes: Sequence[Change], now: datetime) -> set[str]:
        if not changes:
            return set()
        with guarded():
            try:
                self.documents.bulk_write([_begin(change, now) for change in changes], ordered=False)
            except BulkWriteError as error:
                return {changes[at][0].booking for at in duplicates(error)}
        return set()

    def end(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        ended = {effect.booking: _ended(effect, events) for effect, events in changes}
        with guarded():
            replace_each(self.documents, ended, where({"$eq": ["$revision", "$$own.was"]}, _WITH_EVENTS))

    def parked(self, host: str) -> Sequence[str]:
        with guarded():
            found = self.documents.find({"host": host, "standing": Standing.PARKED.value}, {"_id": 1})
            return [document["_id"] for document in found]

    def left_behind(self, claim: Claim) -> Sequence[Effect]:
        return self._claimed("due", {"standing": {"$in": _values(OPEN)}}, claim)

    def to_look_at(self, claim: Claim, now: datetime) -> Sequence[Effect]:
        with guarded():
            due = self.documents.find({"look_at": {"$lte": now}}, {"end": 1}).sort("look_at", 1).limit(MOST_OVER)
            over = [document["_id"] for document in due if (end := document.get("end")) and end <= now]
            if over:
                self.documents.update_many({"_id": {"$in": over}, "end": {"$lte": now}}, {"$unset": {"look_at": ""}})
        return self._claimed("look_at", {"standing": Standing.WRITTEN.value, "end": {"$gt": now}}, claim)

    def coming(self, hosts: Sequence[str], after: datetime, removed: datetime, most: int) -> Sequence[Effect]:
        there = {"$or": [{"standing": {"$ne": Standing.REMOVED.value}}, {"since": {"$gt": removed}}]}
        wanted = {"host": {"$in": list(hosts)}, "end": {"$gt": after}, **there}
        with guarded():
            return [effect_of(d) for d in self.documents.find(wanted, {"outbox": 0}).sort("end", 1).limit(most)]

    def counts(self, standings: Sequence[Standing]) -> Mapping[Standing, Count]:
        grouped = {"_id": "$standing", "count": {"$sum": 1}, "oldest": {"$min": "$since"}}
        stages: list[Document] = [{"$match": {"standing": {"$in": _values(standings)}}}, {"$group": grouped}]
        with guarded():
            found = {d["_id"]: Count(d["count"], d["oldest"]) for d in self.documents.aggregate(stages)}
        return {standing: found.get(standing.value, Count(0, None)) for standing in standings}

    def _claimed(self, when: str, which: Document, claim: Claim) -> Sequence[Effect]:
        """Mark the oldest that are due, so that replicas that ask at the same time are given different ones."""
        due = {**which, when: {"$lte": claim.by}, **_narrowed(when, claim)}
        mark = uuid.uuid4().hex
        with guarded():
            ids = [d["_id"] for d in self.documents.find(due, {"_id": 1}).sort(when, 1).limit(claim.most)]
            if not ids:
                return []
            taken: Document = {when: _until(claim), "claim": mark}
            self.documents.update_many({"_id": {"$in": ids}, **due}, [{"$set": taken}])
            return [effect_of(d) for d in self.documents.find({"_id": {"$in": ids}, "claim": mark}, {"outbox": 0})]


def _narrowed(when: str, claim: Claim) -> Document:
    narrowed: Document = {"host": claim.host} if claim.host else {}
    if waits := claim.waits:
        reasons = [reason.value for reason in waits.reasons]
        later = {"$gt": waits.beyond, "$lte": claim.by}
        narrowed |= {"provider": waits.provider, "reason": {"$in": reasons}, when: later}
    return narrowed


def _until(claim: Claim) -> datetime | Document:
    if claim.ahead is None:
        return claim.until
    milliseconds = int(claim.ahead.total_seconds() * 1000)
    return {"$max": [claim.until, {"$subtract": ["$start", milliseconds]}]}


def _begin(change: Change, now: datetime) -> InsertOne[Document] | UpdateOne:
    effect, events = change
    if effect.revision == 1:  # if it is there by now, the insert collides on _id
        return InsertOne({"_id": effect.booking, **_stored(effect), "outbox": [as_document(event) for event in events]})
    free = {"$or": [{"busy_until": {"$exists": False}}, {"busy_until": {"$lt": now}}]}
    # If another worker has or had it, nothing matches, and the upsert collides on _id: that is how we are told.
    as_read = {"_id": effect.booking, "revision": effect.revision - 1, **free}
    return UpdateOne(as_read, _update(effect, events), upsert=True)


_WITH_EVENTS: Document = {
    "$mergeObjects": [
        {"_id": "$_id", "claim": "$claim"},
        "$$own.new",
        {"outbox": {"$concatArrays": [{"$ifNull": ["$outbox", []]}, "$$own.outbox"]}},
    ]
}
"""How an effect came out, in the place of how it stood, and its events behind those that still wait."""


def _ended(effect: Effect, events: Sequence[Pending]) -> Document:
    ended = replace(effect, revision=effect.revision + 1)
    return {"was": effect.revision, "new": _stored(ended), "outbox": [as_document(event) for event in events]}


def _stored(effect: Effect) -> Document:
    stored: Document = update_of(effect)["$set"]
    return stored


def _update(effect: Effect, events: Sequence[Pending]) -> Document:
    told = {"$push": {"outbox": {"$each": [as_document(event) for event in events]}}} if events else {}
    return {**update_of(effect), **told}


def _values(standings: Sequence[Standing]) -> list[str]:
    return [standing.value for standing in standings]

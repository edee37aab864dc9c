"""Where bookings are kept: the port, and MongoDB behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Protocol

from pymongo import ASCENDING, InsertOne, UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from libs.mongo.client import Document
from libs.mongo.guard import duplicates, guarded
from libs.mongo.many import newer, replace_each, where, without
from libs.mongo.outbox import Pending
from services.booking import documents
from services.booking.claims import Claimant, Span, cells, is_day
from services.booking.domain import Booking, CalendarState, Conflict
from services.booking.moves import Refusal


class Write(Enum):
    """What became of a write. All but the first: nothing was written."""

    DONE = "done"
    TIME_TAKEN = "time-taken"
    PLACE_TAKEN = "place-taken"
    IDENTITY_TAKEN = "identity-taken"
    LOST_RACE = "lost-race"


@dataclass(frozen=True, slots=True)
class Change:
    """A booking as it was read, at its new version, and the events that tell of that."""

    before: Booking
    booking: Booking
    events: Sequence[Pending]

    @property
    def was(self) -> int:
        """The version it came from."""
        return self.before.version

    @property
    def leaves(self) -> str | None:
        """Whose key it was under, where it is under none any more."""
        return self.before.person if self.booking.person is None else None

    @property
    def claims_more(self) -> bool:
        """Whether it could be refused: because of what it claims, or whom it answers."""
        return bool({*self.booking.claims, *self.booking.identities} - {*self.before.claims, *self.before.identities})


@dataclass(frozen=True, slots=True)
class Found:
    """What is there already: bookings by their ids, and whatever answers a request, by the key of its identity."""

    bookings: Mapping[str, Booking] = field(default_factory=dict)
    answers: Mapping[str, Booking | Refusal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Holds:
    """How many bookings and moves are not decided, and since when (UTC) the one whose hold ends first is held."""

    open: int
    oldest: datetime | None


class BookingStore(Protocol):
    """What the handlers need. Every method raises StoreUnavailable if the store does not answer in time."""

    def add(self, bookings: Sequence[tuple[Booking, Sequence[Pending]]]) -> Sequence[Write | Booking]:
        """Insert each with its events, all at once. For one that is there already: the booking as it stands."""
        ...

    def get(self, ids: Sequence[str]) -> Mapping[str, Booking]: ...

    def find(self, ids: Sequence[str], keys: Sequence[str]) -> Found:
        """These bookings, and what these identities stand for already."""
        ...

    def change(self, changes: Sequence[Change]) -> Mapping[str, Write]:
        """Write each if its version has not moved on and nothing it claims is taken. Why not, by id, of those not written."""
        ...

    def refuse(self, refusals: Sequence[tuple[Refusal, Pending]]) -> Sequence[Write | Refusal]:
        """Insert each with its event. For one that is there already: the refusal as it stands."""
        ...

    def standing(self, spans: Sequence[Span], grid: timedelta) -> Sequence[Claimant]:
        """Whatever claims a cell in these spans."""
        ...

    def note_calendar(self, notes: Mapping[str, CalendarState]) -> None:
        """Keep what the writer said last; older news than what is kept is dropped."""
        ...

    def note_conflicts(self, conflicts: Mapping[str, Conflict]) -> None:
        """Keep what was found last; older news than what is kept is dropped."""
        ...

    def held_until(self, now: datetime, most: int) -> Sequence[Booking]:
        """Bookings whose hold or move has run out."""
        ...

    def holds(self) -> "Holds":
        """How many holds and moves are not decided."""
        ...


class MongoBookingStore:
    """One document per booking or refused change, claims and identities under unique indexes, its outbox inside."""

    def __init__(self, database: Database[Document]) -> None:
        self.documents = database["bookings"]

    def ensure_indexes(self) -> None:
        """The indexes that the promises rest on. Idempotent."""
        with guarded():
            for name in ("claims", "identities"):
                self.documents.create_index(
                    name, name=name, unique=True, partialFilterExpression={name: {"$exists": True}}
                )
            self.documents.create_index(
                "hold_until", name="holds", partialFilterExpression={"hold_until": {"$exists": True}}
            )
            self.documents.create_index([("person", ASCENDING)], name="person", sparse=True)

    def add(self, bookings: Sequence[tuple[Booking, Sequence[Pending]]]) -> Sequence[Write | Booking]:
        clashes = self._written([InsertOne(documents.from_booking(*pair)) for pair in bookings])
        # Our own id first: after a failover the write that is in the way may be our own.
        there = self.get([bookings[at][0].id for at in clashes]) if clashes else {}
        return [
            there.get(booking.id, clashes[at]) if at in clashes else Write.DONE
            for at, (booking, _) in enumerate(bookings)
        ]

    def get(self, ids: Sequence[str]) -> Mapping[str, Booking]:
        return {booking.id: booking for booking in self._bookings({"_id": {"$in": list(set(ids))}})}

    def find(self, ids: Sequence[str], keys: Sequence[str]) -> Found:
        asked = set(keys)
        wanted = {"$or": [{"_id": {"$in": list({*ids, *keys})}}, {"identities": {"$in": list(asked)}}]}
        bookings: dict[str, Booking] = {}
        answers: dict[str, Booking | Refusal] = {}
        with guarded():
            for document in self.documents.find(wanted, {"outbox": 0}):
                refused = documents.is_refusal(document)
                found = documents.to_refusal(document) if refused else documents.to_booking(document)
                answers |= dict.fromkeys(asked.intersection(document.get("identities", [document["_id"]])), found)
                if isinstance(found, Booking):
                    bookings[found.id] = found
        return Found(bookings, answers)

    def change(self, changes: Sequence[Change]) -> Mapping[str, Write]:
        if not changes:
            return {}
        rivals, plain = (
            [each for each in changes if each.claims_more],
            [each for each in changes if not each.claims_more],
        )
        clashes = self._written([_update(each) for each in rivals], expected=len(rivals)) if rivals else {}
        if self._replaced(plain) == len(plain) and not clashes:
            return {}
        wanted = {change.booking.id: change.booking for change in changes}
        stand = self.get(list(wanted))
        # Not written and yet there: it was our own write, before a failover.
        left = [id for id, booking in wanted.items() if id not in stand or stand[id].history != booking.history]
        why = {rivals[at].booking.id: clash for at, clash in clashes.items() if at >= 0}
        return {id: why.get(id, Write.LOST_RACE) for id in left}

    def refuse(self, refusals: Sequence[tuple[Refusal, Pending]]) -> Sequence[Write | Refusal]:
        if not refusals:
            return []
        clashes = self._written([InsertOne(documents.from_refusal(*pair)) for pair in refusals])
        there = self._refusals([refusals[at][0].id for at in clashes]) if clashes else {}
        return [
            there.get(refusal.id, clashes[at]) if at in clashes else Write.DONE
            for at, (refusal, _) in enumerate(refusals)
        ]

    def standing(self, spans: Sequence[Span], grid: timedelta) -> Sequence[Claimant]:
        ranges = [between for span in spans for between in _ranges(span, grid)]
        if not ranges:
            return []
        wanted = {"$or": [{"claims": {"$elemMatch": {"$gte": first, "$lte": last}}} for first, last in ranges]}
        with guarded():
            found = self.documents.find(wanted, {"claims": 1, "span": 1, "move": 1})
            return [documents.to_claimant(document) for document in found]

    def note_calendar(self, notes: Mapping[str, CalendarState]) -> None:
        self._note("calendar", "attempt", {id: documents.from_calendar(note) for id, note in notes.items()})

    def note_conflicts(self, conflicts: Mapping[str, Conflict]) -> None:
        self._note("conflict", "at", {id: documents.from_conflict(conflict) for id, conflict in conflicts.items()})

    def held_until(self, now: datetime, most: int) -> Sequence[Booking]:
        return self._bookings({"hold_until": {"$lt": now}}, most)

    def holds(self) -> Holds:
        undecided = {"hold_until": {"$exists": True}}
        with guarded():
            first = self.documents.find_one(undecided, {"history": {"$slice": -1}}, sort=[("hold_until", 1)])
            return Holds(self.documents.count_documents(undecided), first["history"][0]["at"] if first else None)

    def _bookings(self, wanted: Document, most: int = 0) -> list[Booking]:
        with guarded():
            found = self.documents.find(wanted, {"outbox": 0}).limit(most)
            return [documents.to_booking(document) for document in found if not documents.is_refusal(document)]

    def _refusals(self, ids: Sequence[str]) -> dict[str, Refusal]:
        with guarded():
            found = self.documents.find({"_id": {"$in": list(set(ids))}}, {"outbox": 0})
            return {document["_id"]: documents.to_refusal(document) for document in found}

    def _written(self, writes: Sequence[Any], expected: int = 0) -> dict[int, Write]:
        """The writes that clashed, by their place; with place -1 if fewer documents matched than expected."""
        with guarded():
            try:
                matched = self.documents.bulk_write(writes, ordered=False).matched_count
            except BulkWriteError as error:
                return {at: _clash(error, at) for at in duplicates(error)}
        return {-1: Write.LOST_RACE} if matched < expected else {}

    def _replaced(self, changes: Sequence[Change]) -> int:
        """Write what no index can refuse, in one statement for all that lose the same fields; how many were written."""
        alike: dict[tuple[str, ...], dict[str, Document]] = {}
        for change in changes:
            gone, own = _difference(change)
            alike.setdefault(gone, {})[change.booking.id] = own
        with guarded():
            return sum(replace_each(self.documents, own, _as_read(gone)) for gone, own in alike.items())

    def _note(self, name: str, then: str, notes: Mapping[str, Document]) -> None:
        """Set a field of each booking, unless what stands there is newer by version, or of the same version by `then`."""
        noted: Document = {"$mergeObjects": ["$$ROOT", {name: "$$own"}]}
        with guarded():
            replace_each(self.documents, notes, where(newer(name, "version", then), noted))


def _clash(error: BulkWriteError, at: int) -> Write:
    """Which promise a write would have broken. The server names the index and the value."""
    fault: Document = next(each for each in error.details["writeErrors"] if each["index"] == at)
    if "claims" not in fault["keyPattern"]:
        return Write.IDENTITY_TAKEN
    return Write.PLACE_TAKEN if is_day(str(fault["keyValue"]["claims"])) else Write.TIME_TAKEN


def _ranges(span: Span, grid: timedelta) -> list[tuple[str, str]]:
    """The claims of a span as ranges of texts: cells of different lengths do not sort by number, so each length is one."""
    by_length: dict[int, list[str]] = {}
    for claim in cells(span, grid):
        by_length.setdefault(len(claim), []).append(claim)
    return [(claims[0], claims[-1]) for claims in by_length.values()]


def _difference(change: Change) -> tuple[tuple[str, ...], Document]:
    """The fields that go, and for `_as_read` what is new, the version it is for, and the events."""
    before, after = documents.from_booking(change.before, ()), documents.from_booking(change.booking, change.events)
    new = {name: value for name, value in after.items() if name != "outbox" and before.get(name) != value}
    gone = tuple(name for name in before if name not in after)
    return gone, {"was": change.was, "new": new, "outbox": after["outbox"]}


def _as_read(gone: tuple[str, ...]) -> Document:
    """The document with its difference, if it is still at the version that was read."""
    told = {"$concatArrays": [{"$ifNull": ["$outbox", []]}, "$$own.outbox"]}
    changed = {"$mergeObjects": [without(gone, "$$ROOT"), "$$own.new", {"outbox": told}]}
    return where({"$eq": ["$version", "$$own.was"]}, changed)


def _update(change: Change) -> UpdateOne:
    gone, own = _difference(change)
    unset = {"$unset": dict.fromkeys(gone, "")} if gone else {}
    return UpdateOne(
        {"_id": change.booking.id, "version": change.was},
        {"$set": own["new"], **unset, "$push": {"outbox": {"$each": own["outbox"]}}},
    )

"""Where bookings are kept: the port, and MongoDB behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from bson import Binary
from pymongo import ASCENDING, InsertOne, UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from libs.contracts.reasons import Reason
from libs.mongo.client import Document
from libs.mongo.guard import duplicates, guarded
from libs.mongo.outbox import Pending, as_document
from services.booking.domain import Booking, CalendarState, Identity, Span, State, Step


class Added(Enum):
    """What became of a booking that was to be added."""

    ADDED = "added"
    TIME_TAKEN = "time-taken"


@dataclass(frozen=True, slots=True)
class Change:
    """A booking at its new version, the version it came from, and the event that tells of it."""

    booking: Booking
    was: int
    event: Pending


class BookingStore(Protocol):
    """What the handlers need. Every method raises StoreUnavailable if the store does not answer in time."""

    def add(self, bookings: Sequence[tuple[Booking, Pending]]) -> Sequence[Added | Booking]:
        """Insert each with its event, all at once. For one that is there already: the booking as it stands."""
        ...

    def get(self, ids: Sequence[str]) -> Mapping[str, Booking]: ...

    def change(self, changes: Sequence[Change]) -> set[str]:
        """Write each if its version has not moved on. Returns the ids of those that lost such a race."""
        ...

    def note_calendar(self, notes: Mapping[str, CalendarState]) -> None:
        """Keep what the writer said last; older news than what is kept is dropped."""
        ...

    def held_until(self, now: datetime, most: int) -> Sequence[Booking]:
        """Held bookings whose hold has run out."""
        ...


class MongoBookingStore:
    """One document per booking, its claims under a unique index, its outbox inside."""

    def __init__(self, database: Database[Document]) -> None:
        self.documents = database["bookings"]

    def ensure_indexes(self) -> None:
        """The indexes that the promises rest on. Idempotent."""
        with guarded():
            self.documents.create_index(
                "claims", name="claims", unique=True, partialFilterExpression={"claims": {"$exists": True}}
            )
            self.documents.create_index(
                "hold_until", name="holds", partialFilterExpression={"hold_until": {"$exists": True}}
            )
            self.documents.create_index([("person", ASCENDING)], name="person", sparse=True)

    def add(self, bookings: Sequence[tuple[Booking, Pending]]) -> Sequence[Added | Booking]:
        writes = [InsertOne(_document(booking, event)) for booking, event in bookings]
        failed: set[int] = set()
        with guarded():
            try:
                self.documents.bulk_write(writes, ordered=False)
            except BulkWriteError as error:
                failed = set(duplicates(error))
        # Our own id first: after a failover the write that is in the way may be our own.
        there = self.get([bookings[index][0].id for index in failed]) if failed else {}
        return [
            Added.ADDED if index not in failed else there.get(booking.id, Added.TIME_TAKEN)
            for index, (booking, _) in enumerate(bookings)
        ]

    def get(self, ids: Sequence[str]) -> Mapping[str, Booking]:
        with guarded():
            found = self.documents.find({"_id": {"$in": list(set(ids))}}, {"outbox": 0})
            return {document["_id"]: _booking(document) for document in found}

    def change(self, changes: Sequence[Change]) -> set[str]:
        if not changes:
            return set()
        with guarded():
            result = self.documents.bulk_write([_update(change) for change in changes], ordered=False)
            if result.matched_count == len(changes):
                return set()
            wanted = {change.booking.id: change.booking for change in changes}
            stand = self.get(list(wanted))
            return {id for id, booking in wanted.items() if id not in stand or stand[id].history != booking.history}

    def note_calendar(self, notes: Mapping[str, CalendarState]) -> None:
        writes = [
            UpdateOne(
                {"_id": id, "$or": _no_newer_than(note)},
                {"$set": {"calendar": _calendar_document(note)}},
            )
            for id, note in notes.items()
        ]
        with guarded():
            self.documents.bulk_write(writes, ordered=False)

    def held_until(self, now: datetime, most: int) -> Sequence[Booking]:
        with guarded():
            found = self.documents.find({"hold_until": {"$lt": now}}, {"outbox": 0}).limit(most)
            return [_booking(document) for document in found]


def _no_newer_than(note: CalendarState) -> list[Document]:
    return [
        {"calendar": {"$exists": False}},
        {"calendar.version": {"$lt": note.version}},
        {"calendar.version": note.version, "calendar.attempt": {"$lte": note.attempt}},
    ]


def _update(change: Change) -> UpdateOne:
    document = _document(change.booking, change.event)
    keep = {name: value for name, value in document.items() if name not in ("_id", "outbox")}
    gone = {name: "" for name in ("claims", "hold_until", "person", "sealed", "reason") if name not in keep}
    return UpdateOne(
        {"_id": change.booking.id, "version": change.was},
        {"$set": keep, **({"$unset": gone} if gone else {}), "$push": {"outbox": document["outbox"][0]}},
    )


def _document(booking: Booking, event: Pending) -> Document:
    span = booking.span
    document: Document = {
        "_id": booking.id,
        "version": booking.version,
        "state": booking.state.value,
        "request": {"source": booking.request.source, "id": booking.request.id, "digest": booking.request.digest},
        "received": booking.received,
        "history": [_step_document(step) for step in booking.history],
        "outbox": [as_document(event)],
    }
    optional = {
        "span": {"host": span.host, "start": span.start, "end": span.end} if span else None,
        "reason": booking.reason.value if booking.reason else None,
        # An empty list would collide with every other under the unique index.
        "claims": list(booking.claims) or None,
        "hold_until": booking.hold_until,
        "person": booking.person,
        "sealed": Binary(booking.sealed) if booking.sealed else None,
        "traceparent": booking.traceparent,
    }
    return document | {name: value for name, value in optional.items() if value is not None}


def _booking(document: Document) -> Booking:
    span, request = document.get("span"), document["request"]
    return Booking(
        id=document["_id"],
        version=document["version"],
        state=State(document["state"]),
        request=Identity(request["source"], request["id"], request["digest"]),
        received=document["received"],
        history=tuple(_step(step) for step in document["history"]),
        span=Span(span["host"], span["start"], span["end"]) if span else None,
        reason=_reason(document),
        claims=tuple(document.get("claims", ())),
        hold_until=document.get("hold_until"),
        person=document.get("person"),
        sealed=bytes(document["sealed"]) if "sealed" in document else None,
        traceparent=document.get("traceparent"),
        calendar=_calendar(document["calendar"]) if "calendar" in document else None,
    )


def _step_document(step: Step) -> Document:
    document: Document = {"state": step.state.value, "version": step.version, "at": step.at}
    return document | ({"reason": step.reason.value} if step.reason else {})


def _step(document: Document) -> Step:
    return Step(State(document["state"]), document["version"], document["at"], _reason(document))


def _calendar_document(note: CalendarState) -> Document:
    document = {
        "state": note.state,
        "provider": note.provider,
        "version": note.version,
        "attempt": note.attempt,
        "at": note.at,
    }
    return document | ({"reason": note.reason.value} if note.reason else {})


def _calendar(document: Document) -> CalendarState:
    return CalendarState(
        document["state"],
        document["provider"],
        document["version"],
        document["attempt"],
        document["at"],
        _reason(document),
    )


def _reason(document: Document) -> Reason | None:
    return Reason(document["reason"]) if "reason" in document else None

"""Where erasures are kept: the list of who was erased, the jobs, and the bookings that are a part of them. Port, and MongoDB."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pymongo import ASCENDING, DESCENDING, ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from libs.contracts.reasons import Reason
from libs.mongo.client import Document
from libs.mongo.guard import guarded
from libs.mongo.outbox import Pending, as_document
from libs.telemetry.logs import logger
from services.booking import documents, erasure_documents
from services.booking.domain import Booking, State
from services.booking.erasure import Course, Job, Left, Mark, Refused


@dataclass(frozen=True, slots=True)
class Part:
    """A booking that is a part of an erasure, and whether all that it and its refused changes had to tell has been told."""

    booking: Booking
    told: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """How many erasures are open, and since when the oldest of them is."""

    open: int = 0
    oldest: datetime | None = None


class ErasureStore(Protocol):
    """What the handlers need. Every method raises StoreUnavailable if the store does not answer in time."""

    def marks(self, persons: Iterable[str]) -> Mapping[str, Mark]:
        """The erasure list's lines of those of these persons that are on it."""
        ...

    def begin(self, person: str, now: datetime) -> Mark:
        """Put a person on the list, or one epoch further: all that is of earlier ones is to be erased."""
        ...

    def find(self, ids: Sequence[str]) -> Mapping[str, Job | Refused]: ...

    def add(self, job: Job) -> bool:
        """Insert it; false if there is something of that id."""
        ...

    def refuse(self, refused: Refused, event: Pending) -> bool:
        """Insert it with its event; false if there is something of that id."""
        ...

    def claim(self, now: datetime, until: datetime, most: int) -> Sequence[Job]:
        """Open jobs that are due, longest due first. Nobody else gets them before `until`."""
        ...

    def save(self, job: Job, events: Sequence[Pending] = ()) -> Job | None:
        """Write the job with the events that tell of it; as it stands then. None if it has moved on: nothing was written."""
        ...

    def touch(self, persons: Iterable[str], now: datetime) -> None:
        """Have the last erasure of each looked after at once, also where it is finished: something of it was found."""
        ...

    def note_refused(self, persons: Mapping[str, int]) -> None:
        """Count requests that came too late for the last erasure of each."""
        ...

    def of_owners(self, owners: Sequence[str], most: int) -> Sequence[Booking]:
        """Bookings whose invitee is under these owners' keys."""
        ...

    def parts(self, erasure: str, after: str, most: int) -> Sequence[Part]:
        """Bookings that are a part of an erasure, in the order of their ids, beginning behind `after`."""
        ...

    def left(self, erasure: str) -> Left: ...

    def delete(self, erasure: str, bookings: Sequence[str]) -> None:
        """Delete these parts of an erasure, and what was told of refused changes of them."""
        ...

    def recent(self, most: int) -> Sequence[Job]:
        """The jobs asked for last, newest first."""
        ...

    def figures(self) -> Figures: ...


class MongoErasures:
    """The list in `erased`, jobs and refusals with their outboxes in `erasures`, the bookings where bookings are."""

    def __init__(self, database: Database[Document]) -> None:
        self._list = database["erased"]
        self._jobs = database["erasures"]
        self._bookings = database["bookings"]

    def ensure_indexes(self) -> None:
        """What the questions above need. Idempotent."""
        with guarded():
            is_open = {"state": Course.OPEN.value}
            self._jobs.create_index("due", name="due", partialFilterExpression=is_open)
            self._jobs.create_index([("person", ASCENDING), ("epoch", DESCENDING)], name="person", sparse=True)
            self._jobs.create_index("asked_at", name="asked_at")
            self._bookings.create_index([("erasure", ASCENDING), ("_id", ASCENDING)], name="erasure", sparse=True)
            self._bookings.create_index("booking", name="booking", sparse=True)

    def marks(self, persons: Iterable[str]) -> Mapping[str, Mark]:
        with guarded():
            found = self._list.find({"_id": {"$in": list(persons)}})
            return {line["_id"]: Mark(line["epoch"], line["until"]) for line in found}

    def begin(self, person: str, now: datetime) -> Mark:
        with guarded():
            try:
                line = self._next_epoch(person, now)
            except DuplicateKeyError:  # another one has put the person on the list this very moment
                line = self._next_epoch(person, now)
            return Mark(line["epoch"], line["until"])

    def find(self, ids: Sequence[str]) -> Mapping[str, Job | Refused]:
        with guarded():
            found = self._jobs.find({"_id": {"$in": list(ids)}})
            return {document["_id"]: erasure_documents.to_either(document) for document in found}

    def add(self, job: Job) -> bool:
        return self._insert({**erasure_documents.from_job(job), "outbox": []})

    def refuse(self, refused: Refused, event: Pending) -> bool:
        return self._insert(erasure_documents.from_refused(refused, event))

    def claim(self, now: datetime, until: datetime, most: int) -> Sequence[Job]:
        due = {"state": Course.OPEN.value, "due": {"$lte": now}}
        with guarded():
            ids = [document["_id"] for document in self._jobs.find(due, {"_id": 1}).sort("due", 1).limit(most)]
            taking = {"$set": {"due": until}, "$inc": {"revision": 1}}
            taken = [self._update({"_id": id, **due}, taking) for id in ids]
        return [job for job in taken if job is not None]

    def save(self, job: Job, events: Sequence[Pending] = ()) -> Job | None:
        document = erasure_documents.from_job(job)
        kept = {name: value for name, value in document.items() if name not in erasure_documents.NOT_SAVED}
        told = {"outbox": {"$each": [as_document(event) for event in events]}}
        with guarded():
            return self._update(
                {"_id": job.id, "revision": job.revision}, {"$set": kept, "$inc": {"revision": 1}, "$push": told}
            )

    def touch(self, persons: Iterable[str], now: datetime) -> None:
        again = {"$set": {"state": Course.OPEN.value, "due": now, "rounds": 0, "after": ""}, "$inc": {"revision": 1}}
        with guarded():
            for person in persons:
                if self._last(person, again) is None:
                    logger().error("nobody looks after an erasure")  # the list was restored, its jobs were not

    def note_refused(self, persons: Mapping[str, int]) -> None:
        with guarded():
            for person, count in persons.items():
                self._last(person, {"$inc": {"refused": count}})

    def of_owners(self, owners: Sequence[str], most: int) -> Sequence[Booking]:
        with guarded():
            found = self._bookings.find({"person": {"$in": list(owners)}}, {"outbox": 0}).limit(most)
            return [documents.to_booking(document) for document in found]

    def parts(self, erasure: str, after: str, most: int) -> Sequence[Part]:
        with guarded():
            found = list(self._bookings.find({"erasure": erasure, "_id": {"$gt": after}}).sort("_id", 1).limit(most))
            ids = [document["_id"] for document in found]
            waiting = self._bookings.find({"booking": {"$in": ids}, "outbox.0": {"$exists": True}}, {"booking": 1})
            untold = {document["booking"] for document in waiting}
        return [Part(documents.to_booking(d), not d["outbox"] and d["_id"] not in untold) for d in found]

    def left(self, erasure: str) -> Left:
        part = {"erasure": erasure}
        cancelled = {**part, "state": State.CANCELLED.value, "reason": Reason.PERSON_ERASED.value}
        with guarded():
            return Left(self._bookings.count_documents(part), self._bookings.count_documents(cancelled))

    def delete(self, erasure: str, bookings: Sequence[str]) -> None:
        told = {"outbox": {"$size": 0}}
        with guarded():
            self._bookings.delete_many({"booking": {"$in": list(bookings)}, **told})
            self._bookings.delete_many({"_id": {"$in": list(bookings)}, "erasure": erasure, **told})

    def recent(self, most: int) -> Sequence[Job]:
        with guarded():
            jobs = self._jobs.find({"state": {"$ne": erasure_documents.REFUSED}})
            return [erasure_documents.to_job(document) for document in jobs.sort("asked_at", -1).limit(most)]

    def figures(self) -> Figures:
        is_open = {"state": Course.OPEN.value}
        with guarded():
            oldest = self._jobs.find_one(is_open, {"asked_at": 1}, sort=[("asked_at", 1)])
            return Figures(self._jobs.count_documents(is_open), oldest["asked_at"] if oldest else None)

    def _next_epoch(self, person: str, now: datetime) -> Document:
        raised = {"$inc": {"epoch": 1}, "$max": {"until": now}}
        line: Document = self._list.find_one_and_update(
            {"_id": person}, raised, upsert=True, return_document=ReturnDocument.AFTER
        )
        return line

    def _last(self, person: str, change: Document) -> Document | None:
        """Change the last erasure of a person; None if there is none."""
        found: Document | None = self._jobs.find_one_and_update({"person": person}, change, sort=[("epoch", -1)])
        return found

    def _insert(self, document: Document) -> bool:
        with guarded():
            try:
                self._jobs.insert_one(document)
            except DuplicateKeyError:
                return False
        return True

    def _update(self, wanted: Document, change: Document) -> Job | None:
        after = self._jobs.find_one_and_update(wanted, change, return_document=ReturnDocument.AFTER)
        return erasure_documents.to_job(after) if after else None

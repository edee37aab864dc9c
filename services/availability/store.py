"""The answers given, so that a hold asked about twice is answered the same."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from pymongo import InsertOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from libs.mongo.client import Document
from libs.mongo.guard import duplicates, guarded
from libs.mongo.outbox import Pending, as_document
from services.availability.outgoing import Answer

KEPT = timedelta(days=7)
"""Far longer than a hold lasts or an event can wait."""


class AnswerBook(Protocol):
    """What the handlers need."""

    def add(self, answers: Sequence[Answer]) -> Sequence[Answer]:
        """Write each down unless its question was answered before; what stands for each. Raises StoreUnavailable."""
        ...


class MongoAnswerBook:
    """Answers in MongoDB."""

    def __init__(self, database: Database[Document]) -> None:
        self.documents = database["answers"]

    def ensure_indexes(self) -> None:
        """Old answers go by themselves."""
        with guarded():
            self.documents.create_index("at", name="age", expireAfterSeconds=int(KEPT.total_seconds()))

    def add(self, answers: Sequence[Answer]) -> Sequence[Answer]:
        distinct = {answer.id: answer for answer in reversed(answers)}
        with guarded():
            try:
                self.documents.bulk_write([InsertOne(_document(answer)) for answer in distinct.values()], ordered=False)
            except BulkWriteError as error:
                distinct |= self._earlier(error, list(distinct))
        return [distinct[answer.id] for answer in answers]

    def _earlier(self, error: BulkWriteError, ids: Sequence[str]) -> dict[str, Answer]:
        found = self.documents.find({"_id": {"$in": [ids[at] for at in duplicates(error)]}})
        return {document["_id"]: _answer(document) for document in found}


def _document(answer: Answer) -> Document:
    return {"_id": answer.id, "at": answer.at, "reason": answer.reason, "event": as_document(answer.event)}


def _answer(document: Document) -> Answer:
    event = document["event"]
    pending = Pending(event["id"], event["type"], event["at"], bytes(event["body"]))
    return Answer(document["_id"], document["at"], pending, document["reason"])

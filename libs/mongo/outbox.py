"""The outbox inside the document: state and the events it causes are one atomic write.

A document's `outbox` is a list of {id, type, at, body}; it is emptied once the broker has confirmed them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from bson import Binary
from pymongo.collection import Collection
from pymongo.write_concern import WriteConcern

from libs.mongo.client import Document
from libs.mongo.guard import guarded


@dataclass(frozen=True, slots=True)
class Pending:
    """An event that waits in an outbox. `body` is the encoded CloudEvent."""

    id: str
    type: str
    at: datetime
    body: bytes = field(repr=False)


class Sends(Protocol):
    """Publishes what was just put into an outbox; false if the relay must do it later: nothing is lost."""

    def send(self, waiting: Mapping[str, Sequence[Pending]]) -> bool: ...


def as_document(pending: Pending) -> Document:
    """How it stands in the document's `outbox` list."""
    return {"id": pending.id, "type": pending.type, "at": pending.at, "body": Binary(pending.body)}


class MongoOutbox:
    """The outboxes of one collection's documents."""

    def __init__(self, collection: Collection[Document]) -> None:
        self.name = collection.name
        self._documents = collection
        # Losing this write sends an event again, which is harmless; so it need not wait for the majority.
        self._relaxed = collection.with_options(write_concern=WriteConcern(w=1, j=False))

    def ensure_index(self) -> None:
        """The index by which the relay finds what waits."""
        with guarded():
            self._documents.create_index("outbox.at", name="outbox", sparse=True)

    def waiting(self, now: datetime, older_than: timedelta, most: int) -> Mapping[str, Sequence[Pending]]:
        """What has waited longer than `older_than`, oldest first, by document."""
        with guarded():
            found = (
                self._documents.find({"outbox.at": {"$lt": now - older_than}}, {"outbox": 1})
                .sort("outbox.at", 1)
                .limit(most)
            )
            return {document["_id"]: [_pending(entry) for entry in document["outbox"]] for document in found}

    def clear(self, sent: Mapping[str, Sequence[Pending]]) -> None:
        """Forget what was sent."""
        ids = [pending.id for pendings in sent.values() for pending in pendings]
        with guarded():
            self._relaxed.update_many({"_id": {"$in": list(sent)}}, {"$pull": {"outbox": {"id": {"$in": ids}}}})


def _pending(entry: Document) -> Pending:
    return Pending(entry["id"], entry["type"], entry["at"], bytes(entry["body"]))

"""What hosts want kept between bookings and how many a day, as availability told it: the port, and MongoDB behind it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from pymongo import UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from libs.mongo.client import Document
from libs.mongo.guard import duplicates, guarded
from services.booking import documents
from services.booking.claims import Terms


class HostBook(Protocol):
    """What the handlers need. Every method raises StoreUnavailable if the store does not answer in time."""

    def of(self, hosts: Iterable[str]) -> Mapping[str, Terms]:
        """The terms of those hosts that have any."""
        ...

    def keep(self, terms: Sequence[Terms]) -> None:
        """Keep each unless a newer version is kept already."""
        ...


class MongoHostBook:
    """One document per host."""

    def __init__(self, database: Database[Document]) -> None:
        self.documents = database["hosts"]

    def of(self, hosts: Iterable[str]) -> Mapping[str, Terms]:
        with guarded():
            found = self.documents.find({"_id": {"$in": list(set(hosts))}})
            return {document["_id"]: documents.to_terms(document) for document in found}

    def keep(self, terms: Sequence[Terms]) -> None:
        with guarded():
            try:
                self.documents.bulk_write([_write(each, upsert=True) for each in terms], ordered=False)
            except BulkWriteError as error:
                # There already, at this version or a newer one, or written this very moment at an older one.
                again = [_write(terms[at], upsert=False) for at in duplicates(error)]
                self.documents.bulk_write(again, ordered=False)


def _write(terms: Terms, *, upsert: bool) -> UpdateOne:
    older = {"_id": terms.host, "version": {"$lt": terms.version}}
    return UpdateOne(older, {"$set": documents.from_terms(terms)}, upsert=upsert)

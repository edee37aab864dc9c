"""Where it is kept what bookings take of their hosts' time: the port, and MongoDB behind it. One small document per booking."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from pymongo import ASCENDING
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from libs.mongo.client import Document
from libs.mongo.guard import duplicates, guarded
from libs.mongo.many import replace_each, where
from services.availability.domain import Window
from services.availability.standing import News, Standing


class Agenda(Protocol):
    """What the handlers need. Every method raises StoreUnavailable if the store does not answer in time."""

    def note(self, news: Sequence[News]) -> None:
        """Keep each unless newer news of its booking are kept already: order and repeats change nothing."""
        ...

    def around(self, hosts: Collection[str], window: Window) -> Mapping[str, Sequence[Standing]]:
        """By host, the bookings that are not over and have to do with time in the window."""
        ...

    def counts(self, hosts: Collection[str], window: Window, now: datetime) -> Mapping[str, int]:
        """By host, how many bookings that have to do with time in the window take time now."""
        ...


class MongoAgenda:
    """The agenda in MongoDB. `starts` and `ends` are the outer bounds of all that a booking takes, for the index."""

    def __init__(self, database: Database[Document]) -> None:
        self.documents = database["standing"]

    def ensure_indexes(self) -> None:
        """What is over, or long past, goes by itself."""
        with guarded():
            self.documents.create_index("expires", name="age", expireAfterSeconds=0)
            self.documents.create_index(
                [("host", ASCENDING), ("ends", ASCENDING)],
                name="time",
                partialFilterExpression={"ends": {"$exists": True}},
            )

    def note(self, news: Sequence[News]) -> None:
        left = newest(news)
        with guarded():
            left = self._inserted([one for one in left if one.first]) + [one for one in left if not one.first]
            while left:
                self._replaced(left)
                left = self._inserted(self._unknown([one for one in left if not one.amends]))

    def _inserted(self, news: Sequence[News]) -> list[News]:
        """Add each; those that are here already."""
        if not news:
            return []
        try:
            self.documents.insert_many([_document(one.standing) for one in news], ordered=False)
        except BulkWriteError as error:
            return [news[at] for at in duplicates(error)]
        return []

    def _replaced(self, news: Sequence[News]) -> None:
        """Put each in the place of what is older."""
        new = {one.standing.booking: _document(one.standing) for one in news}
        replace_each(self.documents, new, where({"$lt": ["$order", "$$own.order"]}, "$$own"))

    def _unknown(self, news: Sequence[News]) -> list[News]:
        """Those of which nothing is here."""
        if not news:
            return []
        found = self.documents.find({"_id": {"$in": [one.standing.booking for one in news]}}, {"_id": 1})
        here = {document["_id"] for document in found}
        return [one for one in news if one.standing.booking not in here]

    def around(self, hosts: Collection[str], window: Window) -> Mapping[str, Sequence[Standing]]:
        kept: dict[str, list[Standing]] = {host: [] for host in hosts}
        with guarded():
            for document in self.documents.find(_within(hosts, window)):
                kept[document["host"]].append(_standing(document))
        return kept

    def counts(self, hosts: Collection[str], window: Window, now: datetime) -> Mapping[str, int]:
        taking = {"$or": [{"stands": {"$exists": True}}, {"until": {"$gt": now}}]}
        stages = [{"$match": _within(hosts, window) | taking}, {"$group": {"_id": "$host", "count": {"$sum": 1}}}]
        with guarded():
            return {found["_id"]: found["count"] for found in self.documents.aggregate(stages)}


def newest(news: Iterable[News]) -> list[News]:
    """One per booking, the newest; it only amends if all of them do."""
    chosen: dict[str, News] = {}
    for one in news:
        known = chosen.get(one.standing.booking)
        chosen[one.standing.booking] = known.joined(one) if known else one
    return list(chosen.values())


def _within(hosts: Collection[str], window: Window) -> Document:
    return {"host": {"$in": list(hosts)}, "ends": {"$gt": window.start}, "starts": {"$lt": window.end}}


def _document(standing: Standing) -> Document:
    spans = [span for span in (standing.stands, standing.pending) if span]
    document: Document = {
        "_id": standing.booking,
        "host": standing.host,
        "order": standing.order,
        "expires": standing.expires,
    }
    optional = {
        "stands": _span_document(standing.stands),
        "pending": _span_document(standing.pending),
        "until": standing.until,
        "starts": min((span.start for span in spans), default=None),
        "ends": max((span.end for span in spans), default=None),
    }
    return document | {name: value for name, value in optional.items() if value is not None}


def _standing(document: Document) -> Standing:
    return Standing(
        document["_id"],
        document["host"],
        document["order"],
        document["expires"],
        _span(document.get("stands")),
        _span(document.get("pending")),
        document.get("until"),
    )


def _span_document(span: Window | None) -> Document | None:
    return {"start": span.start, "end": span.end} if span else None


def _span(document: Document | None) -> Window | None:
    return Window(document["start"], document["end"]) if document else None

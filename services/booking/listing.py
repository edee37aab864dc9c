"""Bookings listed for operators, by when they begin: times and states, nothing personal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Protocol

from msgspec import Meta
from pymongo.database import Database

from libs.mongo.client import Document
from libs.mongo.guard import guarded, within
from services.booking import documents
from services.booking.domain import CalendarState

SECONDS: Final = 3.0
"""That a list may take. There is no index for it: it would cost every booking, and a list is for people."""
MOST: Final = 500
Many = Annotated[int, Meta(ge=1, le=MOST)]
Standing = Literal["held", "confirmed", "rejected", "expired", "cancelled"]
Place = Annotated[str, Meta(pattern=r"^([0-9T:.+-]{19,40}/bk_[a-z2-7]{26})?\Z")]
"""Behind which booking a page begins: `next` of the page before."""
FIELDS: Final = ("version", "state", "span", "reason", "move", "calendar")


@dataclass(frozen=True, slots=True)
class Search:
    """Which bookings: of a host, in a state, that overlap [start, end), not at rest; behind which one, and how many at most.

    Open are those that are not decided, move, or stand without their entry in the calendar.
    """

    host: str | None = None
    state: Standing | None = None
    start: datetime | None = None
    end: datetime | None = None
    open: bool = False
    after: tuple[datetime, str] | None = None
    most: int = 100


@dataclass(frozen=True, slots=True)
class Listed:
    """One booking of the list."""

    id: str
    host: str
    start: datetime
    end: datetime
    state: str
    version: int
    reason: str | None = None
    moving: bool = False
    calendar: CalendarState | None = None


class BadPlace(Exception):
    """`after` names no place in the list; the text says what to give."""


class Register(Protocol):
    """Finds bookings."""

    def find(self, search: Search) -> Sequence[Listed]:
        """Those that are wanted, by start and id. Raises StoreUnavailable, also if it would take too long."""
        ...


class MongoRegister:
    """The register in the bookings' own collection."""

    def __init__(self, database: Database[Document]) -> None:
        self._documents = database["bookings"]

    def find(self, search: Search) -> Sequence[Listed]:
        order = [("span.start", 1), ("_id", 1)]
        with guarded(), within(SECONDS):
            found = self._documents.find(wanted(search), dict.fromkeys(FIELDS, 1)).sort(order).limit(search.most)
            return [_listed(document) for document in found]


def bookings(search: Search, register: Register) -> dict[str, Any]:
    """A page of the list, and behind which booking the next one begins; null at the end. Raises StoreUnavailable."""
    found = register.find(search)
    last = found[-1] if len(found) == search.most else None
    next_ = f"{last.start.astimezone(UTC).isoformat()}/{last.id}" if last else None
    return {"bookings": [_row(one) for one in found], "next": next_}


def place(text: Place) -> tuple[datetime, str] | None:
    """Where a page begins. Raises BadPlace."""
    at, _, id = text.partition("/")
    try:
        return (datetime.fromisoformat(at).astimezone(UTC), id) if text else None
    except ValueError:
        raise BadPlace("after: what `next` of the page before says") from None


def wanted(search: Search) -> Document:
    """The search in MongoDB's words."""
    every: list[Document] = [{"span": {"$exists": True}, "asked": {"$exists": False}}]
    if search.host is not None:
        every.append({"span.host": search.host})
    if search.state is not None:
        every.append({"state": search.state})
    if search.start is not None:
        every.append({"span.end": {"$gt": search.start}})
    if search.end is not None:
        every.append({"span.start": {"$lt": search.end}})
    if search.open:
        unwritten = {"state": "confirmed", "calendar.state": {"$ne": "written"}}
        every.append({"$or": [{"hold_until": {"$exists": True}}, unwritten]})
    if search.after is not None:
        start, id = search.after
        every.append({"$or": [{"span.start": {"$gt": start}}, {"span.start": start, "_id": {"$gt": id}}]})
    return {"$and": every}


def _listed(document: Mapping[str, Any]) -> Listed:
    span, note = document["span"], document.get("calendar")
    return Listed(
        id=document["_id"],
        host=span["host"],
        start=span["start"],
        end=span["end"],
        state=document["state"],
        version=document["version"],
        reason=document.get("reason"),
        moving="move" in document,
        calendar=documents.to_calendar(note) if note else None,
    )


def _row(one: Listed) -> dict[str, Any]:
    note = one.calendar
    return {
        "booking": one.id,
        "host": one.host,
        "start": one.start,
        "end": one.end,
        "state": one.state,
        "version": one.version,
        "reason": one.reason,
        "moving": one.moving,
        "calendar": {"state": note.state, "provider": note.provider, "at": note.at, "reason": note.reason}
        if note
        else None,
    }

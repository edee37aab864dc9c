"""The erasure list: whom Valet has been told to forget. As a file, as a collection, and applied to what a restore brought back.

A person is a keyed digest of the address; the epoch counts that person's erasures. Data keys and bookings of an epoch below it
are what was erased: their owner is the digest itself in epoch 0, then `<digest>~<epoch>`.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from pymongo import UpdateOne
from pymongo.collection import Collection

from deploy.cli.backup.stores import Stores
from libs.crypto.digests import owner
from libs.mongo.client import Document

FORMAT: Literal["valet-erasures-1"] = "valet-erasures-1"
PAGE = 5000  # owners or bookings in one question, which may have to read the whole collection
T = TypeVar("T")


class ListBroken(Exception):
    """The file is not an erasure list."""


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """One person: erased so often; the last time of all that was asked for until then (RFC 3339, UTC)."""

    person: Annotated[str, msgspec.Meta(pattern=r"^[a-z2-7]{52}\Z")]
    epoch: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    until: Annotated[datetime, msgspec.Meta(tz=True)]


class _File(msgspec.Struct, frozen=True, kw_only=True):
    format: Literal["valet-erasures-1"]
    as_of: Annotated[datetime, msgspec.Meta(tz=True)]
    erased: list[Erased]


@dataclass(slots=True)
class Reapplied:
    """What was erased again."""

    people: int = 0
    bookings: int = 0
    changes: int = 0
    keys: int = 0


def owners(person: str, epoch: int) -> list[str]:
    """The owners of all that was erased."""
    return [owner(person, before) for before in range(epoch)]


def encoded(erased: Iterable[Erased], now: datetime) -> bytes:
    """The list as a file. It names nobody: a digest says who it is only to whoever has booking's key file."""
    return (
        msgspec.json.format(msgspec.json.encode(_File(format=FORMAT, as_of=now, erased=list(erased))), indent=1) + b"\n"
    )


def read(path: Path) -> list[Erased]:
    """The list in a file. Raises ListBroken, OSError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File).erased
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ListBroken from None


def in_collection(erased: Collection[Document]) -> Iterator[Erased]:
    """The list of a database. Raises PyMongoError."""
    for found in erased.find({}):
        yield Erased(person=found["_id"], epoch=found["epoch"], until=_utc(found["until"]))


def merge(into: Collection[Document], more: Iterable[Erased]) -> int:
    """Add these to a list; of each person what reaches furthest stays. How many that were. Raises PyMongoError."""
    count = 0
    for page in pages(more, PAGE):
        into.bulk_write([_furthest(each) for each in page], ordered=False)
        count += len(page)
    return count


def reapply(stores: Stores) -> Reapplied:
    """Erase again whatever the list says was erased. Safe to repeat. Raises PyMongoError."""
    bookings, keys = stores.collection("booking", "bookings"), stores.collection("booking", "keys")
    done = Reapplied()
    for page in pages(in_collection(stores.collection("booking", "erased")), PAGE):
        theirs = [one for each in page for one in owners(each.person, each.epoch)]
        for some in pages(theirs, PAGE):
            done.keys += keys.delete_many({"_id": {"$in": some}}).deleted_count  # first: from here on nothing opens
            _forget(bookings, some, done)
        done.people += len(page)
    return done


def pages(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    """The items, so many at a time."""
    waiting = iter(items)
    while page := list(islice(waiting, size)):
        yield page


def write(path: Path, content: bytes) -> None:
    """Write a new file, mode 0600. Raises OSError; FileExistsError if there is one already."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _forget(bookings: Collection[Document], some: Sequence[str], done: Reapplied) -> None:
    found = bookings.find({"person": {"$in": list(some)}}, {"_id": 1})
    for page in pages(found, PAGE):
        ids = [document["_id"] for document in page]
        done.changes += bookings.delete_many({"asked": {"$exists": True}, "booking": {"$in": ids}}).deleted_count
        done.bookings += bookings.delete_many({"_id": {"$in": ids}}).deleted_count


def _furthest(each: Erased) -> UpdateOne:
    return UpdateOne({"_id": each.person}, {"$max": {"epoch": each.epoch, "until": each.until}}, upsert=True)


def _utc(instant: datetime) -> datetime:
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)

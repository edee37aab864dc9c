"""Turns the driver's errors into ours at the edge of a store, so that handlers know no driver."""

from collections.abc import Iterator
from contextlib import contextmanager

import pymongo
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError

from libs.mongo.errors import StoreUnavailable

DUPLICATE_KEY = 11000
SHORTEST = 0.001  # seconds; none at all would mean no limit


def duplicates(error: BulkWriteError) -> list[int]:
    """The writes, by their place in the batch, that collided on a unique index. Raises StoreUnavailable if anything else failed."""
    faults = error.details.get("writeErrors", [])
    if error.details.get("writeConcernErrors") or any(fault["code"] != DUPLICATE_KEY for fault in faults):
        raise StoreUnavailable("bulk write failed") from None
    return [fault["index"] for fault in faults]


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Everything that is asked of the store in here has so many seconds together, instead of the client's own for each."""
    with pymongo.timeout(max(seconds, SHORTEST)):
        yield


@contextmanager
def guarded() -> Iterator[None]:
    """Raise StoreUnavailable for any driver error that is not about a duplicate key, without its text: it quotes documents."""
    try:
        yield
    except (DuplicateKeyError, BulkWriteError):
        raise
    except PyMongoError as error:
        raise StoreUnavailable(type(error).__name__) from None

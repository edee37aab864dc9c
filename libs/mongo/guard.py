"""Turns the driver's errors into ours at the edge of a store, so that handlers know no driver."""

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError

from libs.mongo.errors import StoreUnavailable


@contextmanager
def guarded() -> Iterator[None]:
    """Raise StoreUnavailable for any driver error that is not about a duplicate key, without its text: it quotes documents."""
    try:
        yield
    except (DuplicateKeyError, BulkWriteError):
        raise
    except PyMongoError as error:
        raise StoreUnavailable(type(error).__name__) from None

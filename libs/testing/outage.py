"""Stores that go away, and what they keep."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from libs.mongo.errors import StoreUnavailable

T = TypeVar("T")


class Outage:
    """The base of the doubles of stores: one at a time, and with `away` set none of their methods answers."""

    def __init__(self) -> None:
        self.away = False
        self._lock = threading.RLock()

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Hold the store. Raises StoreUnavailable while it is away."""
        if self.away:
            raise StoreUnavailable("made-up outage")
        with self._lock:
            yield


def as_kept(value: T) -> T:
    """The value as a store gives it back: instants cut to milliseconds, all the way down (MongoDB's dates hold no more)."""
    kept: Any = value
    if isinstance(value, datetime):
        kept = value.replace(microsecond=value.microsecond // 1000 * 1000)
    elif isinstance(value, tuple):
        kept = tuple(as_kept(inner) for inner in value)
    elif is_dataclass(value) and not isinstance(value, type):
        kept = replace(value, **{field.name: as_kept(getattr(value, field.name)) for field in fields(value)})
    return kept  # type: ignore[no-any-return]  # of the type that came in

"""Trace context: which trace the work in hand belongs to. It goes from the emitter through every event and question.

What is carried is the text of a `traceparent` (https://www.w3.org/TR/trace-context/#traceparent-header). It is kept for each
greenlet or thread; whoever hands work to another hands it on (`held`, `taken`, `along`).
"""

import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
HEADER: Final = "traceparent"
SAMPLED: Final = 1

A = TypeVar("A")
R = TypeVar("R")


@dataclass(slots=True)
class Work:
    """What is in hand. `parent` is the traceparent of what is done next; `bookings` has those of single bookings' events.

    `alone` are traceparents that one event in hand has and no other; `steps` is what is still to be told of events.
    """

    parent: str | None = None
    bookings: Mapping[str, str] = field(default_factory=dict)
    alone: Collection[str] = ()
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)


_HELD: ContextVar[Work | None] = ContextVar("valet_work", default=None)


def read(text: object) -> str | None:
    """A traceparent that somebody sent; None if it is none: it is sent on and logged, so it must not be anybody's name."""
    return text if isinstance(text, str) and TRACEPARENT.fullmatch(text) else None


def new(*, sampled: bool) -> str:
    """The traceparent of a trace that begins here."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-{int(sampled):02x}"


def id_of(traceparent: str | None) -> str | None:
    """The id of the trace, by which lines of all services are found."""
    return traceparent.split("-")[1] if read(traceparent) and traceparent else None


def is_sampled(traceparent: str) -> bool:
    """Whether its spans are to be kept."""
    return bool(int(traceparent[-2:], 16) & SAMPLED)


def held() -> Work | None:
    """The work in hand here, to be handed on."""
    return _HELD.get()


def current() -> str | None:
    """The traceparent to send on with whatever is asked now."""
    work = _HELD.get()
    return work.parent if work else None


def take(work: Work | None) -> None:
    """Have this from here on in a greenlet that does nothing else."""
    _HELD.set(work)


@contextmanager
def taken(work: Work | None) -> Iterator[None]:
    """Have this in hand."""
    marker = _HELD.set(work)
    try:
        yield
    finally:
        _HELD.reset(marker)


@contextmanager
def about(booking: str) -> Iterator[None]:
    """What is done now is done for this booking, out of many."""
    work = _HELD.get()
    own = work.bookings.get(booking) if work else None
    if work is None or own is None:
        yield
        return
    with taken(Work(own, work.bookings, work.alone, work.steps)):
        yield


def along(gather: Callable[..., Iterable[Any]]) -> Callable[..., Iterable[Any]]:
    """The same way to do many things side by side, with each in the trace of whoever has them done."""

    def gathered(work: Callable[[A], R], items: Iterable[A]) -> Iterable[Any]:
        mine = held()

        def within(item: A) -> R:
            with taken(mine):
                return work(item)

        return gather(within, items)

    return gathered


def noted(step: dict[str, Any], booking: str, traceparent: str | None) -> bool:
    """Keep what happened to a booking for the line of the event that it follows from. False if there is no such event."""
    work = _HELD.get()
    if work is None:
        return False
    key = booking if booking in work.bookings else traceparent
    if key is None or key in work.steps or not (key == booking or key in work.alone):
        return False
    work.steps[key] = step
    return True


def trace_of(booking: object) -> str | None:
    """The id of the trace of this booking's event, or else of the work in hand."""
    work = _HELD.get()
    if work is None:
        return None
    return id_of(work.bookings.get(booking) if isinstance(booking, str) else None) or id_of(work.parent)

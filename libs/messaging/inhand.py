"""Events in hand: the trace each belongs to, what is logged and measured of them, and their spans."""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from libs.contracts.events import REQUESTS, Event
from libs.messaging import topology
from libs.messaging.delivery import Incoming, Malformed, Outcome, Retry
from libs.messaging.intake import Unfit
from libs.telemetry import metrics, trace, tracing
from libs.telemetry.logs import logger
from libs.telemetry.trace import Work
from libs.telemetry.tracing import Label, Span

Item = Incoming[Event | Malformed]


@dataclass(frozen=True, slots=True)
class Held:
    """One event, with the span that its handling is; `item` carries that on as its traceparent."""

    item: Item
    span: Span


class Hand:
    """A batch of events of one queue, from when its handler is called until each has an outcome."""

    def __init__(self, queue: topology.Queue, items: Sequence[Item]) -> None:
        self._queue = queue
        self._began = time.monotonic()
        self._held = [_held(queue, item) for item in items]
        self._work = Work()

    @property
    def items(self) -> Sequence[Item]:
        """The events, each with the traceparent for what follows from it."""
        return [held.item for held in self._held]

    @contextmanager
    def taken(self) -> Iterator[None]:
        """While they are handled: what is logged, asked and done belongs to their traces."""
        parents = [held.item.traceparent for held in self._held if held.item.traceparent]
        bookings = {id: held.item.traceparent for held in self._held if (id := booking_of(held.item))}
        together = len({trace.id_of(parent) for parent in parents}) > 1
        labels = {**_labels(self._queue), "messaging.batch.message_count": len(self._held)}
        batch = tracing.gathered(f"handle {self._queue.name}", parents, labels) if together else tracing.NOTHING
        self._work = Work(
            parent=batch.parent or (None if together else next(iter(parents), None)),
            bookings={id: parent for id, parent in bookings.items() if parent},
            alone={parent for parent, times in Counter(parents).items() if times == 1},
        )
        try:
            with trace.taken(self._work):
                yield
        finally:
            batch.end()

    def over(self, outcomes: Sequence[Outcome]) -> None:
        """Each has its outcome: log, measure, and end the spans."""
        seconds = round(time.monotonic() - self._began, 4)
        now, say, wait = datetime.now(UTC), logger().bind(), metrics.EVENT_WAIT.labels(self._queue.name)
        for held, outcome in zip(self._held, outcomes, strict=True):
            reason = getattr(outcome, "reason", None)
            label = reason.value if reason else None
            say.info("event handled", **self._line(held.item, outcome, label, seconds))
            held.span.note({"valet.outcome": _name(outcome), "valet.reason": label})
            held.span.end()
            if not isinstance(outcome, Retry):
                wait.observe((now - held.item.first_seen).total_seconds())

    def _line(self, item: Item, outcome: Outcome, reason: str | None, seconds: float) -> dict[str, Any]:
        steps, booking = self._work.steps, booking_of(item)
        step = steps.pop(booking or "", None) or steps.pop(item.traceparent or "", {})
        line = {
            **named(self._queue, item),
            "outcome": _name(outcome),
            "reason": reason,
            "attempt": item.attempt,
            "events": len(self._held),
            "seconds": seconds,
            **step,
        }
        return {name: value for name, value in line.items() if value is not None}


def named(queue: topology.Queue, item: Item | Unfit) -> dict[str, Any]:
    """How a line names an event. Of a request, whose id is its emitter's choice, a digest stands in the place of source and id."""
    known = item.type in queue.types
    line: dict[str, Any] = {"queue": queue.name, "type": item.type if known else "other"}
    if item.id is not None:
        own = known and item.type not in REQUESTS
        line |= {"event_id": item.id} if own else {"request": request_digest(item.source, item.id)}
    if isinstance(item, Incoming):
        line |= {"booking": booking_of(item), "trace": trace.id_of(item.traceparent)}
    return line


def request_digest(source: str | None, id: str | None) -> str:
    """The first 16 hex digits of the SHA-256 of source, a zero byte and id: whoever knows a request finds its lines."""
    return hashlib.sha256(f"{source}\0{id}".encode()).hexdigest()[:16]


def booking_of(item: Item) -> str | None:
    """The booking that an event is about, where it names one of ours."""
    booking = getattr(item.data, "booking", None)
    return booking if isinstance(booking, str) else None


def _held(queue: topology.Queue, item: Item) -> Held:
    labels: dict[str, Label | None] = {
        **_labels(queue),
        "valet.event.type": item.type,
        "valet.booking": booking_of(item),
        "valet.attempt": item.attempt,
    }
    span = tracing.begun(f"consume {item.type}", "consumer", item.traceparent, labels)
    return Held(replace(item, traceparent=span.parent or None), span)


def _labels(queue: topology.Queue) -> dict[str, Label]:
    return {
        "messaging.system": "rabbitmq",
        "messaging.operation.type": "process",
        "messaging.destination.name": queue.name,
    }


def _name(outcome: Outcome) -> str:
    return type(outcome).__name__.lower()

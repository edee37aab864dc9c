"""Puts requests on the bus at a pace, and notes when each came back."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from libs.contracts import codec
from libs.messaging import topology
from tests.bench.journal import Asked, Journal, Run
from tests.bench.pace import PAUSE, Nothing, Pace
from tests.bench.wire import Bus, Emitter, Line, Listener, wait

KEYS = ("booking-confirmed", "booking-rejected", "calendar-event-written")
FLIGHT = 1000  # that are put on the bus before their confirms are waited for


@dataclass(frozen=True)
class Ends:
    """Where requests go in, and where what becomes of them comes out."""

    exchange: str = topology.EVENTS
    source: str = topology.EVENTS
    keys: Sequence[str] = KEYS
    content_type: str = codec.STRUCTURED


VALET = Ends()


class NotInTime(RuntimeError):
    """Not everything came back."""


class Driver:
    """An emitter of requests and a listener for what becomes of them, in one loop."""

    def __init__(self, emits: Bus, hears: Bus, ends: Ends = VALET) -> None:
        self.journal = Journal(frozenset())
        self._emitter = Emitter(emits, ends.exchange, "booking-requested", ends.content_type)
        self._listener = Listener(hears, self._heard, exchange=ends.source, keys=ends.keys)

    def run(self, asked: Sequence[Asked], pace: Pace, until: str, patience: float) -> Run:
        """Send all and wait until all came back. Raises NotInTime if they did not within `patience` seconds."""
        self.journal = Journal(frozenset(each.id for each in asked))
        began, bodies, sent_at = time.monotonic(), [each.body for each in asked], [0.0] * len(asked)
        go(self._emitter, self._listener, bodies, pace, lambda: self.journal.back(until), patience, sent_at)
        return Run(self.journal, began, time.monotonic(), sent_at)

    def put(self, asked: Sequence[Asked], patience: float) -> None:
        """Have the broker keep all of these, whatever becomes of them. Raises NotInTime."""
        self.journal, deadline = Journal(frozenset(each.id for each in asked)), time.monotonic() + patience
        bodies = [each.body for each in asked]
        for first in range(0, len(bodies), FLIGHT):
            self._emitter.send(bodies[first : first + FLIGHT])
            while self._emitter.confirmed < self._emitter.sent:
                if time.monotonic() > deadline:
                    raise NotInTime("the broker does not take the requests")
                if not self._emitter.read():
                    wait([self._emitter], PAUSE)

    def collect(self, many: int, until: str, patience: float) -> None:
        """Wait until so many of what was put came back, in all. Raises NotInTime."""
        left = many - self.journal.back(until)
        go(self._emitter, self._listener, [b""] * left, Nothing(), lambda: self.journal.back(until), patience)

    def listen(self, seconds: float) -> None:
        """Note what else comes within so many seconds."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not self._listener.read():
                wait([self._listener], left)

    def _heard(self, kind: str, body: bytes) -> None:
        self.journal.heard(kind, body)

    def close(self) -> None:
        """Hang up."""
        self._emitter.close()
        self._listener.close()

    def __enter__(self) -> "Driver":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def go(
    emitter: Emitter,
    listener: Line,
    bodies: Sequence[bytes],
    pace: Pace,
    back: Callable[[], int],
    patience: float,
    sent_at: list[float] | None = None,
) -> None:
    """Send all at this pace until as many came back. Raises NotInTime."""
    sent, base, deadline = 0, back(), time.monotonic() + patience
    while (came := back() - base) < len(bodies):
        now = time.monotonic()
        if now > deadline:
            raise NotInTime(f"only {came} of {len(bodies)} came back in {patience:.0f} s")
        more, pause = pace.due(sent, came, now)
        if more and sent < len(bodies):
            flight = bodies[sent : sent + more]
            if sent_at is not None:
                sent_at[sent : sent + len(flight)] = [now] * len(flight)
            emitter.send(flight)
            sent += len(flight)
            pause = 0.0
        heard, confirmed = listener.read(), emitter.read()
        if not heard and not confirmed and pause:
            with suppress(InterruptedError):
                wait([emitter, listener], pause)

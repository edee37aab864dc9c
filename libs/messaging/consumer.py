"""The one consumer: batches of what has arrived, several in flight, acknowledged only after their effect.

A batch is what is there, up to a bound, without waiting for more. A message is acknowledged when its handler has answered
and, for a retry or a dead letter, when that is confirmed. Whatever goes wrong before, the broker delivers it again.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from amqp import Channel, Message
from kombu import Connection

from libs.messaging import intake, topology
from libs.messaging.errors import BusUnavailable
from libs.messaging.intake import Raw
from libs.messaging.link import CLOSED, HEARTBEAT, Link, Wire
from libs.telemetry import metrics
from libs.telemetry.logs import logger

POLL = 1.0  # seconds; bounds how late a stop or a heartbeat is noticed
SLOWEST_RECONNECT = 15.0  # seconds


@dataclass(frozen=True, slots=True)
class Settled:
    """What to do with the messages of a batch: these tags are done with, those go back."""

    acknowledge: Sequence[int]
    give_back: Sequence[int] = ()


Work = Callable[[Sequence[Raw]], Settled]
Spawn = Callable[[Callable[[], None]], object]


class Consumer:
    """Consumes one queue until it is stopped, reconnecting for as long as it takes."""

    def __init__(
        self, link: Link, queue: topology.Source, work: Work, spawn: Spawn, *, batch: int, in_flight: int
    ) -> None:
        self._link = link
        self._queue = queue
        self._work = work
        self._spawn = spawn
        self._batch = batch
        self._most = in_flight
        self._running = 0
        self._session: _Session | None = None
        self._stopping = threading.Event()
        self._idle = threading.Condition()

    def run(self) -> None:
        """Consume until `stop`. Returns then; trouble with the bus is waited out, with growing pauses."""
        failures = 0
        while not self._stopping.is_set():
            why = self._consume()
            metrics.CONSUMER_UP.labels(self._queue.name).set(0)
            if self._stopping.is_set():
                return
            failures = 0 if self._lived() else failures + 1
            pause = min(SLOWEST_RECONNECT, 0.2 * 2**failures) * random.uniform(0.5, 1)  # noqa: S311 - jitter
            logger().warning("bus lost", queue=self._queue.name, error=why, retry_in=round(pause, 2))
            self._stopping.wait(pause)

    def stop(self, timeout: float) -> bool:
        """Take no more, let what is in flight end and be acknowledged, then close. False if it took longer than `timeout` s."""
        self._stopping.set()
        if self._session:
            self._session.cancel()
        deadline = time.monotonic() + timeout
        with self._idle:
            while self._running and time.monotonic() < deadline:
                self._idle.wait(max(0.0, deadline - time.monotonic()))
        if self._session:
            self._session.end()
        return self._running == 0

    @property
    def up(self) -> bool:
        """Whether the queue is being consumed."""
        return self._session is not None and self._session.open

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def _lived(self) -> bool:
        return self._session is not None and self._session.lived

    def _consume(self) -> str:
        """Consume for as long as the connection holds; says why it ended."""
        self._session = None
        try:
            session = _Session(self._link.open(), self._queue, prefetch=self._batch * (self._most + 2))
        except BusUnavailable as error:
            return str(error)
        self._session = session
        try:
            session.begin()
            metrics.CONSUMER_UP.labels(self._queue.name).set(1)
            while session.open:
                session.read(self._batch, full=self._running >= self._most)
                self._dispatch(session)
        except Exception as error:  # noqa: BLE001 - py-amqp says "closed" in many ways; none of them may end the service
            return type(error).__name__
        finally:
            session.close()
        return "ended"

    def _dispatch(self, session: "_Session") -> None:
        with self._idle:
            while not self._stopping.is_set() and self._running < self._most:
                batch = session.take(self._batch, alone=self._running == 0)
                if not batch:
                    return
                self._running += 1
                metrics.BATCHES_IN_FLIGHT.labels(self._queue.name).set(self._running)
                self._spawn(lambda batch=batch: self._handle(session, batch))  # type: ignore[misc]  # bound early, on purpose

    def _handle(self, session: "_Session", batch: Sequence[Raw]) -> None:
        try:
            session.settle(self._work(batch))
        except Exception as error:  # noqa: BLE001 - whatever it is, the messages go back
            logger().error("batch not settled", queue=self._queue.name, error=error)
            session.end()
        finally:
            with self._idle:
                self._running -= 1
                metrics.BATCHES_IN_FLIGHT.labels(self._queue.name).set(self._running)
                self._idle.notify_all()
            with suppress(Exception):
                self._dispatch(session)


class _Session:
    """One connection's worth of consuming: its channel, what arrived, what is not yet acknowledged.

    When a process dies, the broker counts every message that it had been given as returned, begun or not. So that the one
    that kills does not take its neighbours along, a session begins with one message at a time, and takes more only once
    it has seen one that is not suspect; a suspect that comes among others waits until all of them are settled.
    """

    def __init__(self, connection: Connection, queue: topology.Source, prefetch: int) -> None:
        self._wire = Wire(connection)
        self._queue = queue
        self._prefetch = prefetch
        self._width = 1
        self._trusting = False
        self._leaving = False
        self._arrived: deque[Raw] = deque()
        self._suspects: deque[Raw] = deque()
        self._unacknowledged: deque[int] = deque()
        self._settled: set[int] = set()
        self._write = threading.RLock()
        self.open = True
        self._settled_any = False
        self._since = time.monotonic()

    def begin(self) -> None:
        """Declare the queue and consume it."""
        self._channel: Channel = self._wire.amqp.channel()
        self._channel.auto_decode = False
        self._queue.declare(self._channel)
        with self._write:
            self._listen()

    @property
    def lived(self) -> bool:
        """Whether the connection was good for something: work was done over it, or it lasted."""
        return self._settled_any or time.monotonic() - self._since > 2 * HEARTBEAT

    def read(self, most: int, *, full: bool) -> None:
        """Wait for a message, then take what else is there already. When `full`, no batch can begin: wait in any case."""
        if self._adjust():
            return
        readable = self._wire.readable(POLL if full or not self._arrived else 0)
        with self._write:
            with suppress(TimeoutError):
                while readable:
                    self._wire.amqp.drain_events(timeout=0.05)
                    readable = len(self._arrived) < most and self._wire.readable(0)
            self._wire.amqp.heartbeat_tick()

    def take(self, most: int, *, alone: bool) -> Sequence[Raw]:
        """The next batch; `alone` says that none is at work, for only then a suspect is given out, by itself."""
        if self._arrived:
            return [self._arrived.popleft() for _ in range(min(most, len(self._arrived)))]
        if self._suspects and alone and self._width <= 1:
            return [self._suspects.popleft()]
        return []

    def settle(self, settled: Settled) -> None:
        """Acknowledge, in the order of delivery and many at once; on a lost connection the broker delivers again."""
        if not self.open:
            return
        with self._write:
            try:
                for tag in settled.give_back:
                    self._channel.basic_reject(tag, True)
                    self._unacknowledged.remove(tag)
                self._settled.update(settled.acknowledge)
                self._acknowledge()
                self._settled_any = True
            except CLOSED:
                self.open = False

    def cancel(self) -> None:
        """Have no more delivered. What arrived and was not begun goes back when the connection closes."""
        with self._write, suppress(*CLOSED):
            self._leaving = True
            if self._width:
                self._channel.basic_cancel(self._tag, nowait=True)

    def end(self) -> None:
        """Have the reader close. Only it may: another greenlet would pull the socket from under its feet."""
        self.open = False

    def close(self) -> None:
        """Close at once; what is not acknowledged goes back to the queue."""
        self.open = False
        self._wire.cut()

    def _adjust(self) -> bool:
        """Take one message at a time, none, or many, by what has arrived. True if that changed."""
        width = self._width
        if self._suspects and width > 1:
            width = 0
        elif width == 0 and not self._unacknowledged:
            width = 1
        elif width == 1 and self._trusting:
            width = self._prefetch
        if width == self._width:
            return False
        with self._write:
            if self._leaving:
                return False
            if self._width:
                self._channel.basic_cancel(self._tag)
            self._width = width
            if width:
                self._listen()
        return True

    def _listen(self) -> None:
        self._channel.basic_qos(0, self._width, False)
        self._tag = self._channel.basic_consume(self._queue.name, callback=self._deliver, on_cancel=self._cancelled)

    def _acknowledge(self) -> None:
        last: int | None = None
        while self._unacknowledged and self._unacknowledged[0] in self._settled:
            last = self._unacknowledged.popleft()
            self._settled.discard(last)
        if last is not None:
            self._channel.basic_ack(last, multiple=True)
        if len(self._settled) > self._prefetch // 3:
            # One that takes long must not keep the others unacknowledged until nothing more is delivered.
            for tag in sorted(self._settled):
                self._channel.basic_ack(tag)
                self._unacknowledged.remove(tag)
            self._settled.clear()

    def _deliver(self, message: Message) -> None:
        raw = intake.raw(message)
        self._unacknowledged.append(raw.tag)
        self._trusting = raw.returned < intake.SUSPECT
        (self._arrived if self._trusting else self._suspects).append(raw)

    def _cancelled(self, *_: Any) -> None:
        # The broker took the queue away (deleted, or its node went): begin anew.
        self.open = False

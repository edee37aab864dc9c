"""The one consumer: batches of what has arrived, several in flight, acknowledged only after their effect.

A batch is what is there, up to a bound, without waiting for more; but a few wait a moment while others are at work, and then
begin together. Where nobody waits for what a queue's handler does, its first messages wait a moment for company, too. A message is
acknowledged when its handler has answered and, for a retry or a dead letter, when that is confirmed.
Whatever goes wrong before, the broker delivers it again.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from libs.messaging import topology
from libs.messaging.errors import BusUnavailable
from libs.messaging.intake import Raw
from libs.messaging.link import Link
from libs.messaging.session import POLL, Session, Settled
from libs.telemetry import metrics
from libs.telemetry.logs import logger

SLOWEST_RECONNECT = 15.0  # seconds
ENOUGH = 4
"""The share of a whole batch that is enough to begin it while others are at work: one part in so many."""
PATIENCE = 0.25  # seconds
"""So long those few that have arrived wait while others are at work: every batch has its price, however small it is."""


Work = Callable[[Sequence[Raw]], Settled]
Spawn = Callable[[Callable[[], None]], object]


class Consumer:
    """Consumes one queue until it is stopped, reconnecting for as long as it takes.

    `gather` is how many seconds what has arrived may wait for more to come, though nothing is at work.
    """

    def __init__(
        self,
        link: Link,
        queue: topology.Source,
        work: Work,
        spawn: Spawn,
        *,
        batch: int,
        in_flight: int,
        gather: float = 0.0,
    ) -> None:
        self._link = link
        self._queue = queue
        self._work = work
        self._spawn = spawn
        self._batch = batch
        self._most = in_flight
        self._gather = gather
        self._running = 0
        self._began = 0.0
        self._session: Session | None = None
        self._stopping = threading.Event()
        self._idle = threading.Condition()

    def run(self) -> None:
        """Consume until `stop`. Returns then; trouble with the bus is waited out, with growing pauses."""
        metrics.BATCHES_LIMIT.labels(self._queue.name).set(self._most)
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
            session = Session(self._link.open(), self._queue, prefetch=self._batch * (self._most + 2))
        except BusUnavailable as error:
            return str(error)
        self._session = session
        try:
            session.begin()
            metrics.CONSUMER_UP.labels(self._queue.name).set(1)
            while session.open:
                session.read(self._batch, self._wait(session))
                self._dispatch(session)
        except Exception as error:  # noqa: BLE001 - py-amqp says "closed" in many ways; none of them may end the service
            return type(error).__name__
        finally:
            session.close()
        return "ended"

    def _wait(self, session: "Session") -> float:
        """Seconds until a batch may begin with what has arrived; where nothing has, or none may, until the next look."""
        if not session.waiting or self._running >= self._most:
            return POLL
        if session.waiting * ENOUGH >= self._batch:
            return 0
        until = session.waiting_since + self._gather
        if self._running:
            until = max(until, self._began + PATIENCE)
        return max(0.0, until - time.monotonic())

    def _dispatch(self, session: "Session") -> None:
        with self._idle:
            while not self._stopping.is_set() and self._running < self._most:
                if session.waiting and self._wait(session):
                    return
                batch = session.take(self._batch, alone=self._running == 0)
                if not batch:
                    return
                self._running += 1
                self._began = time.monotonic()
                metrics.BATCHES_IN_FLIGHT.labels(self._queue.name).set(self._running)
                self._spawn(lambda batch=batch: self._handle(session, batch))  # type: ignore[misc]  # bound early, on purpose

    def _handle(self, session: "Session", batch: Sequence[Raw]) -> None:
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

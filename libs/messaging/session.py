"""One connection's worth of consuming: its channel, what arrived, and what is not yet acknowledged."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from amqp import Channel, Message
from kombu import Connection

from libs.messaging import intake, topology
from libs.messaging.intake import Raw
from libs.messaging.link import CLOSED, HEARTBEAT
from libs.messaging.wire import Wire

POLL = 1.0  # seconds; bounds how late a stop or a heartbeat is noticed
MOST_BYTES = 16 * 1024 * 1024
"""Bodies in hand, of one queue. The prefetch counts messages, however large each is, so beyond this nothing more is read from
the socket: TCP makes the broker wait."""
BREATH = 0.05  # seconds; how soon reading goes on once there is room


@dataclass(frozen=True, slots=True)
class Settled:
    """What to do with the messages of a batch: these tags are done with, those go back."""

    acknowledge: Sequence[int]
    give_back: Sequence[int] = ()


class Session:
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
        self._sizes: dict[int, int] = {}
        self._bytes = 0
        self._write = threading.RLock()
        self.open = True
        self._settled_any = False
        self._since = time.monotonic()
        self.waiting_since = 0.0

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

    @property
    def heavy(self) -> bool:
        """Whether what is in hand weighs as much as it may."""
        return self._bytes >= MOST_BYTES

    @property
    def waiting(self) -> int:
        """How many messages have arrived and may be begun together."""
        return len(self._arrived)

    def read(self, most: int, within: float) -> None:
        """Wait for a message for at most so many seconds, then take what else is there already."""
        if self._adjust():
            return
        if self.heavy:
            self._pause()
            return
        readable = self._wire.readable(within)
        with self._write:
            with suppress(TimeoutError):
                while readable:
                    self._wire.drain(0.05)
                    readable = len(self._arrived) < most and not self.heavy and self._wire.readable(0)
            self._wire.amqp.heartbeat_tick()

    def take(self, most: int, *, alone: bool) -> Sequence[Raw]:
        """The next batch; `alone` says that none is at work, for only then a suspect is given out, by itself."""
        if self._arrived:
            self.waiting_since = time.monotonic()
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
                self._bytes -= sum(self._sizes.pop(tag, 0) for tag in (*settled.acknowledge, *settled.give_back))
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

    def _pause(self) -> None:
        """Read nothing for a moment. The broker's heartbeats lie unread meanwhile: their absence must not end the connection."""
        with self._write:
            self._wire.amqp.last_heartbeat_received = time.monotonic()
            self._wire.amqp.heartbeat_tick()
        time.sleep(BREATH)

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
        self._sizes[raw.tag] = len(raw.body)
        self._bytes += len(raw.body)
        if not self._arrived:
            self.waiting_since = time.monotonic()
        self._trusting = raw.returned < intake.SUSPECT
        (self._arrived if self._trusting else self._suspects).append(raw)

    def _cancelled(self, *_: Any) -> None:
        # The broker took the queue away (deleted, or its node went): begin anew.
        self.open = False

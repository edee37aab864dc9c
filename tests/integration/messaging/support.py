"""What the tests of the bus share: events to send, a look at queues, and waiting for something to become true."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
from amqp import Channel, Message

from libs.contracts import codec
from libs.contracts.events import BookingHeld, Event
from libs.messaging import topology
from libs.messaging.consumer import Consumer
from libs.messaging.dead import DeadLetter
from libs.messaging.delivery import DONE, Incoming, Malformed, Outcome
from libs.messaging.link import Link
from libs.messaging.publisher import Outgoing, Publisher
from libs.messaging.work import Rules, Worker

BOOKING = "bk_" + "a" * 26
AT = datetime(2031, 3, 4, 15, 0, tzinfo=UTC)
KIND = "booking-held"
Item = Incoming[Event | Malformed]


def held(id: str, host: str = "dr-example") -> bytes:
    """A well-formed event with nothing personal in it."""
    data = BookingHeld(booking=BOOKING, version=1, host=host, start=AT, end=AT)
    return codec.encode(codec.event(data, id=id, source="/tests", time=AT))


def wait_until(true: Callable[[], object], seconds: float = 10.0, what: str = "it did not become true") -> None:
    """Return as soon as it holds; fail the test if it does not in time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what} within {seconds} s"
        time.sleep(0.02)


@contextmanager
def channel(link: Link) -> Iterator[Channel]:
    """A plain channel, as any other program would have it."""
    connection = link.open(heartbeat=0)
    opened = connection.connection.channel()
    opened.auto_decode = False
    yield opened
    with suppress(Exception):
        connection.release()


def post(link: Link, queue: str, bodies: Sequence[bytes], **properties: Any) -> None:
    """Put messages into a queue, with any properties, and with no other queue hearing of it; confirmed."""
    given = {"content_type": codec.STRUCTURED, "delivery_mode": 2, **properties}
    with channel(link) as opened:
        opened.confirm_select()
        for body in bodies:
            opened.basic_publish_confirm(Message(body, **given), topology.RETRY, queue, confirm_timeout=20)


def flood(link: Link, queue: str, bodies: Sequence[bytes]) -> None:
    """Put many messages into a queue quickly."""
    publisher = Publisher(link, 20)
    publisher.publish([Outgoing(topology.RETRY, queue, body, codec.STRUCTURED) for body in bodies])
    publisher.close()


def depth(link: Link, queue: str) -> int:
    """How many messages are ready in a queue."""
    with channel(link) as opened:
        return int(opened.queue_declare(queue, passive=True).message_count)


def taken(link: Link, queue: str) -> list[Message]:
    """Take out whatever waits in a queue."""
    found: list[Message] = []
    with channel(link) as opened:
        while (message := opened.basic_get(queue, no_ack=True)) is not None:
            found.append(message)
    return found


def letters(link: Link, service: str) -> list[tuple[DeadLetter, bytes]]:
    """Take out a service's dead letters: as they read, and the bytes that lie on the broker."""
    messages = taken(link, topology.dead_queue(service))
    return [(msgspec.json.decode(bytes(m.body), type=DeadLetter), bytes(m.body)) for m in messages]


def await_letters(link: Link, service: str, count: int, seconds: float = 10.0) -> list[tuple[DeadLetter, bytes]]:
    """The service's dead letters, as soon as there are so many."""
    found: list[tuple[DeadLetter, bytes]] = []
    deadline = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        found += letters(link, service)
        time.sleep(0.1)
    assert len(found) == count, [letter for letter, _ in found]
    return found


def in_thread(work: Callable[[], None]) -> None:
    """Spawn with a plain thread."""
    threading.Thread(target=work, daemon=True).start()


class Seen:
    """A handler that keeps what it was given, and answers as the test says."""

    def __init__(self, answer: Callable[[Sequence[Item]], Sequence[Outcome]] | None = None) -> None:
        self.batches: list[list[Item]] = []
        self.times: list[float] = []
        self._answer = answer

    def __call__(self, items: Sequence[Item]) -> Sequence[Outcome]:
        self.times.append(time.monotonic())
        self.batches.append(list(items))
        return self._answer(items) if self._answer else [DONE] * len(items)

    @property
    def ids(self) -> list[str]:
        return [item.id for batch in self.batches for item in batch]


class Gate(Seen):
    """Holds the first batch until it is opened, so that all that comes meanwhile is in the next."""

    def __init__(self) -> None:
        super().__init__(self._wait)
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    def _wait(self, items: Sequence[Item]) -> Sequence[Outcome]:
        self._open.wait(10)
        return [DONE] * len(items)


class Listening:
    """A consumer with a handler, run by plain threads."""

    def __init__(
        self,
        link: Link,
        queue: topology.Queue,
        handler: Callable[[Sequence[Item]], Sequence[Outcome]],
        rules: Rules | None = None,
        *,
        batch: int = 50,
        in_flight: int = 3,
        gather: float = 0.0,
        publisher: Publisher | None = None,
    ) -> None:
        self.publisher = publisher or Publisher(link, 5)
        worker = Worker(queue, handler, self.publisher, rules or Rules())
        self.consumer = Consumer(link, queue, worker, in_thread, batch=batch, in_flight=in_flight, gather=gather)
        self._thread = threading.Thread(target=self.consumer.run, daemon=True)

    def start(self) -> "Listening":
        self._thread.start()
        wait_until(lambda: self.consumer.up, 15, "the consumer is not up")
        return self

    def stop(self, seconds: float = 10) -> bool:
        drained = self.consumer.stop(seconds)
        self._thread.join(seconds)
        self.publisher.close()
        return drained


class Proxy:
    """A way to the broker that can be cut (`stalled`) or ended, as networks do. TLS passes through untouched."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self._target = port
        self._listener = socket.create_server((address, 0))
        self.port = self._listener.getsockname()[1]
        self.flowing = threading.Event()
        self.flowing.set()
        self.connections = 0
        self._sockets: list[socket.socket] = [self._listener]
        in_thread(self._accept)

    def close(self) -> None:
        self.flowing.set()
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def drop(self) -> None:
        """End every connection at once; new ones are let through."""
        for one in self._sockets[1:]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self.connections += 1
                far = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [near, far]
                in_thread(partial(self._copy, near, far))
                in_thread(partial(self._copy, far, near))

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.flowing.wait()
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def lines(path: Any) -> list[dict[str, Any]]:
    """What a test service wrote down, one JSON object a line (a line cut off by a kill is left out)."""
    text: str = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

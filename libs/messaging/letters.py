"""Reading, replaying and dropping dead letters, for operators.

A letter is looked at by taking it without acknowledging it. When the connection ends, for whatever reason, the broker puts
back all that was not acknowledged: a command that dies half way loses nothing. It puts them behind those that were not taken,
so all are taken, whatever is shown of them.

Letters that somebody has in hand nobody else sees. So that an erasure overlooks none, only one at a time has a service's: whoever
declares the exclusive queue that stands for them, which goes with its connection.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec
from amqp import Channel, Connection, Message
from amqp.exceptions import NotFound, ResourceLocked

from libs.messaging import dead, intake, topology
from libs.messaging.errors import BusUnavailable, Unroutable
from libs.messaging.link import Link
from libs.messaging.publisher import Publisher

MOST = 10_000
"""So many of a service's letters are looked at, at most; those behind them come in front by that."""
TURN = 15.0
"""Seconds that one waits for letters that somebody else has in hand."""
HANDLE = 8
"""Characters of a letter's name that are shown, unless more are needed to tell it from another."""


@dataclass(frozen=True, slots=True)
class Found:
    """A letter as it lies there. `size` is its own, in bytes.

    `letter` is None if it is not one of Valet's: it cannot be read, or was not put there by its service.
    """

    service: str
    name: str
    size: int
    letter: dead.DeadLetter | None = field(repr=False)
    tag: int = field(default=0, compare=False)

    @property
    def reason(self) -> str:
        return self.letter.reason if self.letter else "unreadable"

    @property
    def replayable(self) -> bool:
        """Whether its content was kept."""
        return self.letter is not None and dead.again(self.letter) is not None


@dataclass(frozen=True, slots=True)
class Taken:
    """Letters, oldest first, and how many more there are than these."""

    letters: Sequence[Found]
    more: int


Wanted = Callable[[Found], bool]
Judge = Callable[[Found, bytes], bool]
"""Whether a letter, given with its whole body, is to be destroyed."""


class Letters:
    """The dead letters of some services."""

    def __init__(self, link: Link, publisher: Publisher, services: Sequence[str]) -> None:
        self._link = link
        self._publisher = publisher
        self._services = services

    def look(self, most: int, wanted: Wanted = lambda _: True) -> Taken:
        """The wanted letters, `most` of each service at most. Raises BusUnavailable."""
        found: list[Found] = []
        more = 0
        with self._channel() as channel:
            for service in self._services:
                kept = 0
                for one in filter(wanted, _taken(channel, service)):
                    kept += 1
                    found += [one] if kept <= most else []
                more += max(0, kept - most) + _waiting(channel, topology.dead_queue(service))
        return Taken(sorted(found, key=lambda one: one.letter.at if one.letter else 0), more)

    def unread(self) -> dict[str, int]:
        """By service, what the broker gave up and the service has not taken back yet. Raises BusUnavailable."""
        with self._channel() as channel:
            counts = {service: _waiting(channel, topology.GivenUp(service).name) for service in self._services}
        return {service: count for service, count in counts.items() if count}

    def replay(self, wanted: Wanted) -> "Iterator[tuple[Found, str | None]]":
        """Put the wanted letters' messages back into their queues, each as if it came for the first time.

        Gives each with why it could not be, or None. A letter is gone only when the broker has confirmed its message: if the
        connection ends in between, the message has been sent and the letter lies there still. Raises BusUnavailable.
        """
        for channel, found in self._each(wanted):
            why = self._sent(found)
            if why is None:
                channel.basic_ack(found.tag)
            yield found, why

    def drop(self, wanted: Wanted) -> Iterator[Found]:
        """Destroy the wanted letters. Gives each. Raises BusUnavailable."""
        for channel, found in self._each(wanted):
            channel.basic_ack(found.tag)
            yield found

    def sift(self, unwanted: Judge, before: Callable[[], None]) -> int:
        """Look at every letter, and destroy the unwanted ones; how many these were. The others stay, in their order.

        When all were looked at, and before the first is destroyed, `before` is called; what it or `unwanted` raises, goes
        through, and then nothing is destroyed. Raises BusUnavailable.
        """
        with self._channel() as channel:
            taken = (one for service in self._services for one in _messages(channel, service, None))
            tags = [found.tag for found, body in taken if unwanted(found, body)]
            if tags:
                before()
            for tag in tags:
                channel.basic_ack(tag)
            channel.basic_qos(0, 0, False)  # answered only after what was acknowledged before it
        return len(tags)

    def _each(self, wanted: Wanted) -> Iterator[tuple[Channel, Found]]:
        with self._channel() as channel:
            for service in self._services:
                for found in filter(wanted, _taken(channel, service)):
                    yield channel, found
            channel.basic_qos(0, 0, False)  # answered only after what was acknowledged before it

    def _sent(self, found: Found) -> str | None:
        message = dead.again(found.letter) if found.letter else None
        if found.letter is None or message is None:
            return "its content was not kept"
        if not found.letter.queue.startswith(f"{found.service}."):
            return "it names a queue of another service"
        try:
            self._publisher.publish([message])
        except Unroutable:
            return f"there is no queue {found.letter.queue} any more"
        return None

    @contextmanager
    def _channel(self) -> Iterator[Channel]:
        with self._link.channel() as channel:
            for service in self._services:
                _take_turn(channel.connection, service)
            yield channel


def handles(names: Sequence[str]) -> dict[str, str]:
    """Each name to its shortest beginning, of at least HANDLE characters, that none of the others has."""
    length = next(n for n in range(HANDLE, 65) if n == 64 or len({name[:n] for name in names}) == len(set(names)))
    return {name: name[:length] for name in names}


def _taken(channel: Channel, service: str) -> Iterator[Found]:
    """Take up to MOST, all unacknowledged."""
    for found, _ in _messages(channel, service, MOST):
        yield found


def _messages(channel: Channel, service: str, most: int | None) -> Iterator[tuple[Found, bytes]]:
    """Take letters, all unacknowledged, with their whole bodies. An absent queue has none.

    Only of those that are there at the beginning: a replayed message that fails at once is a new letter, not to be taken again.
    """
    queue = topology.dead_queue(service)
    there = _waiting(channel, queue)
    for _ in range(there if most is None else min(most, there)):
        message = channel.basic_get(queue)
        if message is None:
            return
        body = message.body if isinstance(message.body, bytes) else str(message.body).encode()
        yield _found(service, message, body), body


def _found(service: str, message: Message, body: bytes) -> Found:
    try:
        letter = msgspec.json.decode(body, type=dead.DeadLetter)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        letter = None
    if not _came_rightly(message, service):
        letter = None
    name = letter.letter if letter and letter.letter else hashlib.sha256(body).hexdigest()
    return Found(service, name, len(body), letter, message.delivery_tag)


def _came_rightly(message: Message, service: str) -> bool:
    """Whether its own service wrote it: anybody who may answer questions can put something into any queue, past that check."""
    where, headers = message.delivery_info or {}, message.properties.get("application_headers") or {}
    route = where.get("exchange"), where.get("routing_key")
    return route == (topology.LETTERS, service) and intake.DEATHS not in headers


def _take_turn(connection: Connection, service: str) -> None:
    """Have a service's letters in hand for as long as the connection lasts. Raises BusUnavailable if somebody else keeps them."""
    deadline = time.monotonic() + TURN
    while True:
        probe = connection.channel()
        try:
            probe.queue_declare(topology.letters_in_hand(service), exclusive=True, auto_delete=False)
        except ResourceLocked:  # the broker has closed the channel with that answer
            if time.monotonic() > deadline:
                raise BusUnavailable("somebody else has the letters in hand") from None
            time.sleep(0.1)
        else:
            probe.close()
            return


def waiting(link: Link, queues: Sequence[str]) -> dict[str, int]:
    """How many messages lie ready in each of these queues; looking needs no rights. Raises BusUnavailable."""
    with link.channel() as channel:
        return {queue: _waiting(channel, queue) for queue in queues}


def _waiting(channel: Channel, queue: str) -> int:
    """How many lie ready there; none if there is no such queue."""
    probe = channel.connection.channel()
    try:
        count = int(probe.queue_declare(queue, passive=True).message_count)
    except NotFound:  # the broker has closed the channel with that answer
        return 0
    probe.close()
    return count

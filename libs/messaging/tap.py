"""Listening in: a queue of one's own, gone with the connection. For people and tests, not for services."""

import time
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType

from amqp import Channel, Message

from libs.contracts import codec
from libs.messaging import intake, topology
from libs.messaging.errors import BusUnavailable
from libs.messaging.link import CLOSED, TROUBLE, Link


class Tap:
    """`with Tap(link, ["booking-*"…]) as tap: for envelope in tap.events(seconds): …`. Keys are topic patterns."""

    def __init__(self, link: Link, keys: tuple[str, ...] = ("#",), queue: str = "") -> None:
        self._connection = link.open()
        try:
            self._channel: Channel = self._connection.connection.channel()
            self._channel.auto_decode = False
            name, _, _ = self._channel.queue_declare(queue, exclusive=True, auto_delete=True)
            for key in keys:
                self._channel.queue_bind(name, topology.EVENTS, key)
            self._channel.basic_consume(name, no_ack=True, callback=self._arrived)
        except TROUBLE as error:
            raise BusUnavailable(type(error).__name__) from None
        self._waiting: list[codec.Envelope] = []

    def __enter__(self) -> "Tap":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close; the queue goes."""
        with suppress(*CLOSED):
            self._connection.release()

    def events(self, seconds: float) -> Iterator[codec.Envelope]:
        """The events that come within so many seconds from now. Raises BusUnavailable if the connection is lost."""
        deadline = time.monotonic() + seconds
        while True:
            while self._waiting:
                yield self._waiting.pop(0)
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._read(min(left, 1.0))

    def _read(self, seconds: float) -> None:
        try:
            with suppress(TimeoutError):
                self._connection.connection.drain_events(timeout=seconds)
            self._connection.connection.heartbeat_tick()
        except CLOSED as error:
            raise BusUnavailable(type(error).__name__) from None

    def _arrived(self, message: Message) -> None:
        raw = intake.raw(message)
        if raw.exchange != topology.EVENTS or not raw.straight:  # not said where it is checked who may say what
            return
        properties = message.properties
        with suppress(codec.Unreadable):
            headers = properties.get("application_headers") or {}
            self._waiting.append(codec.read(message.body, properties.get("content_type"), headers))

"""Publishing in flights: many messages, one wait for all their confirms, within a deadline."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, LifoQueue
from typing import Any

from amqp import Channel, Message, spec
from kombu import Connection

from libs.messaging.errors import BusUnavailable, MessagingError, Unroutable
from libs.messaging.link import TROUBLE, Link
from libs.messaging.wire import Wire
from libs.telemetry import metrics

POOL = 8  # idle connections kept; a new one costs a TLS handshake
FLIGHT = 200  # messages sent before their confirms are waited for
PERSISTENT = 2


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish. `expiration` is in milliseconds; a `mandatory` message must reach a queue."""

    exchange: str
    routing_key: str
    body: bytes = field(repr=False)
    content_type: str
    headers: dict[str, Any] = field(default_factory=dict, repr=False)
    message_id: str | None = None
    correlation_id: str | None = None
    expiration: int | None = None
    mandatory: bool = False


class Publisher:
    """Publishes with confirms. Safe to share between threads or greenlets: each flight takes a connection of its own."""

    def __init__(self, link: Link, timeout: float) -> None:
        self._link = link
        self._timeout = timeout
        self._idle: LifoQueue[_Lane] = LifoQueue()

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """Publish all, in order, and return when the broker has confirmed each.

        Raises BusUnavailable if a confirm is refused or does not come in time (some may have arrived), Unroutable if a
        mandatory one reached no queue. Nothing is retried here: the caller's outbox or queue does that.
        """
        started = time.monotonic()
        try:
            for at in range(0, len(messages), FLIGHT):
                self._fly(messages[at : at + FLIGHT])
        except MessagingError:
            metrics.PUBLISH_FAILURES.inc()
            raise
        if messages:
            metrics.PUBLISH_SECONDS.observe(time.monotonic() - started)

    def close(self) -> None:
        """Close what is idle."""
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()

    def _fly(self, flight: Sequence[Outgoing]) -> None:
        lane = self._take()
        try:
            lane.fly(flight, self._timeout)
        except TROUBLE as error:
            # A confirm that comes late would be taken for another message's: the connection is not used again.
            lane.close()
            raise BusUnavailable(type(error).__name__) from None
        except Unroutable:
            self._give_back(lane)
            raise
        except BaseException:
            lane.close()
            raise
        self._give_back(lane)

    def _take(self) -> "_Lane":
        with suppress(Empty):
            while True:
                lane = self._idle.get_nowait()
                if lane.alive():
                    return lane
                lane.close()
        return _Lane(self._link.open(heartbeat=0))

    def _give_back(self, lane: "_Lane") -> None:
        if self._idle.qsize() < POOL:
            self._idle.put(lane)
        else:
            lane.close()


class _Lane:
    """One connection with one channel in confirm mode."""

    def __init__(self, connection: Connection) -> None:
        self._wire = Wire(connection)
        self._user = connection.userid
        try:
            self._channel: Channel = self._wire.amqp.channel()
            self._channel.confirm_select()
        except TROUBLE as error:
            self._wire.cut()
            raise BusUnavailable(type(error).__name__) from None
        self._sent = 0
        self._waiting: set[int] = set()
        self._refused = 0
        self._returned = 0
        self._channel.events["basic_ack"].add(self._acked)
        self._channel.events["basic_nack"].add(self._nacked)
        self._channel.events["basic_return"].add(self._came_back)

    def fly(self, flight: Sequence[Outgoing], timeout: float) -> None:
        self._refused = self._returned = 0
        deadline = time.monotonic() + timeout
        with self._wire.gathered(timeout):
            for message in flight:
                self._send(message)
        while self._waiting:
            left = deadline - time.monotonic()
            if left <= 0:
                raise BusUnavailable("no confirm in time")
            with suppress(TimeoutError):
                self._wire.drain(left)
        if self._refused:
            raise BusUnavailable("the broker refused a message")
        if self._returned:
            raise Unroutable("a message reached no queue")

    def alive(self) -> bool:
        """Whether the broker has not closed the connection while it lay idle."""
        try:
            self._wire.drain(0)
        except TimeoutError:
            return True
        except TROUBLE:
            return False
        return True

    def close(self) -> None:
        self._wire.cut()

    def _send(self, message: Outgoing) -> None:
        properties: dict[str, Any] = {"delivery_mode": PERSISTENT, "content_type": message.content_type}
        if self._user:  # the broker refuses any other user's (https://www.rabbitmq.com/docs/validated-user-id)
            properties["user_id"] = self._user
        if message.headers:
            properties["application_headers"] = message.headers
        if message.message_id is not None:
            properties["message_id"] = message.message_id
        if message.correlation_id is not None:
            properties["correlation_id"] = message.correlation_id
        if message.expiration is not None:
            properties["expiration"] = str(message.expiration)
        # Not basic_publish: it reads from the socket before each message.
        self._channel.send_method(
            spec.Basic.Publish,
            "Bssbb",
            (0, message.exchange, message.routing_key, message.mandatory, False),
            Message(message.body, **properties),
        )
        self._sent += 1
        self._waiting.add(self._sent)

    def _acked(self, tag: int, multiple: bool) -> None:
        self._settle(tag, multiple)

    def _nacked(self, tag: int, multiple: bool) -> None:
        self._refused += 1
        self._settle(tag, multiple)

    def _came_back(self, *_: Any) -> None:
        self._returned += 1

    def _settle(self, tag: int, multiple: bool) -> None:
        if multiple:
            self._waiting = {waiting for waiting in self._waiting if waiting > tag}
        else:
            self._waiting.discard(tag)

"""The bench's own way to the bus: py-amqp and nothing above it, so that emitting and listening cost as little as they can."""

import select
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import amqp
from amqp import Channel, Message

from libs.contracts import codec

PERSISTENT = 2
READ_AT_MOST = 400
"""Frames that are read before others have their turn."""


class Refused(RuntimeError):
    """The broker did not take a message."""


class Confirms:
    """Which messages of a channel the broker has confirmed, by their tags, which count from 1."""

    def __init__(self) -> None:
        self.done = 0
        """All up to this one are confirmed."""
        self._early: set[int] = set()

    def confirm(self, tag: int, multiple: bool) -> None:
        """One is confirmed, or all up to this one."""
        if multiple:
            self.done = max(self.done, tag)
            self._early = {early for early in self._early if early > self.done}
        else:
            self._early.add(tag)
        while self.done + 1 in self._early:
            self.done += 1
            self._early.remove(self.done)


@dataclass(frozen=True)
class Bus:
    """Where the broker is, who asks, and the file of the authority that signed its certificate."""

    url: str = field(repr=False)
    ca: str

    def open(self) -> amqp.Connection:
        """A connection over TLS, with the host's name checked. Raises OSError or an AMQPError."""
        parts = urlsplit(self.url)
        tls = {"ca_certs": self.ca, "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": parts.hostname}
        connection = amqp.Connection(
            f"{parts.hostname}:{parts.port}",
            userid=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            virtual_host=unquote(parts.path.removeprefix("/")),
            ssl=tls,
            client_properties={"connection_name": "bench"},
        )
        connection.connect()
        return connection


class Line:
    """A connection with one channel."""

    def __init__(self, bus: Bus) -> None:
        self._connection = bus.open()
        self.channel: Channel = self._connection.channel()
        self.channel.auto_decode = False
        self.socket = self._connection.sock

    def read(self) -> bool:
        """Take what is there, calling back; whether there was anything."""
        some = False
        for _ in range(READ_AT_MOST):
            if not (self.socket.pending() or select.select([self.socket], [], [], 0)[0]):
                break
            self._connection.drain_events()
            some = True
        return some

    def close(self) -> None:
        """Hang up; what is on its way is lost."""
        with suppress(OSError, amqp.AMQPError):
            self._connection.close()


class Emitter(Line):
    """Publishes without waiting; `confirmed` says how far the broker has got."""

    def __init__(self, bus: Bus, exchange: str, key: str, content_type: str = codec.STRUCTURED) -> None:
        super().__init__(bus)
        self._exchange, self._key = exchange, key
        self._properties = {"delivery_mode": PERSISTENT, "content_type": content_type}
        self._confirms = Confirms()
        self.sent = 0
        self.channel.confirm_select()
        self.channel.events["basic_ack"].add(self._confirms.confirm)
        self.channel.events["basic_nack"].add(_refused)

    @property
    def confirmed(self) -> int:
        """How many of the messages sent, from the first on, the broker has confirmed."""
        return self._confirms.done

    def send(self, bodies: Sequence[bytes]) -> None:
        """Hand these to the broker."""
        for body in bodies:
            self.channel.basic_publish(Message(body, **self._properties), self._exchange, self._key)
        self.sent += len(bodies)


class Listener(Line):
    """Hears messages on a queue of its own: one bound to `exchange` by `keys`, or to the default exchange by its `name`."""

    def __init__(
        self,
        bus: Bus,
        heard: Callable[[str, bytes], None],
        *,
        name: str = "",
        exchange: str = "",
        keys: Sequence[str] = (),
    ) -> None:
        super().__init__(bus)
        queue, _, _ = self.channel.queue_declare(name, exclusive=True, auto_delete=True)
        for key in keys:
            self.channel.queue_bind(queue, exchange, key)
        self.channel.basic_consume(queue, no_ack=True, callback=lambda m: heard(m.delivery_info["routing_key"], m.body))


def wait(lines: Sequence[Line], seconds: float) -> None:
    """Until there is something to read on one of these, so long at most."""
    select.select([line.socket for line in lines], [], [], max(0.0, seconds))


def _refused(*_: Any) -> None:
    raise Refused("the broker refused a message: is a queue full?")

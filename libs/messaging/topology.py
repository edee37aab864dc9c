"""Exchanges and queues, as data. Everything that must not be lost is a quorum queue.

events  (topic)   facts and requests, routing key = event type
later.<rung> (fanout)   one quorum queue per delay; when the delay is over the broker hands the message back through
again   (direct)  routing key = name of the queue it came from
dead    (direct)  routing key = service; what cannot be handled waits there for an operator
"""

from dataclasses import dataclass
from typing import Any, Protocol

from amqp import Channel

EVENTS = "events"
AGAIN = "again"
DEAD = "dead"
RPC = "nameko-rpc"

DELIVERY_LIMIT = 20
"""After so many returns the broker itself gives a message up (to the dead letters). The consumer acts long before."""


class Source(Protocol):
    """What can be consumed."""

    @property
    def name(self) -> str: ...

    def declare(self, channel: Channel) -> None: ...


@dataclass(frozen=True, slots=True)
class Rung:
    """A step of the ladder of delays."""

    name: str
    seconds: int

    @property
    def exchange(self) -> str:
        return f"later.{self.name}"


LADDER = (Rung("1s", 1), Rung("5s", 5), Rung("30s", 30), Rung("2m", 120), Rung("10m", 600), Rung("1h", 3600))


@dataclass(frozen=True, slots=True)
class Queue:
    """A service's queue for one use case, and the event types that flow into it."""

    service: str
    use_case: str
    types: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.service}.{self.use_case}"

    def declare(self, channel: Channel) -> None:
        """Declare all that this queue needs. Idempotent; raises amqp errors if something stands there in another form."""
        channel.exchange_declare(EVENTS, "topic", durable=True, auto_delete=False)
        channel.exchange_declare(AGAIN, "direct", durable=True, auto_delete=False)
        channel.exchange_declare(DEAD, "direct", durable=True, auto_delete=False)
        for rung in LADDER:
            _declare_rung(channel, rung)
        _quorum(channel, dead_queue(self.service), {})
        channel.queue_bind(dead_queue(self.service), DEAD, self.service)
        _declare_queue(channel, self)


@dataclass(frozen=True, slots=True)
class QuestionQueue:
    """Questions to one method of a service. Worth nothing after their deadline, so the queue is a plain one."""

    service: str
    method: str

    @property
    def key(self) -> str:
        return f"{self.service}.{self.method}"

    @property
    def name(self) -> str:
        return f"rpc.{self.key}"

    def declare(self, channel: Channel) -> None:
        """Declare the queue and nameko's RPC exchange."""
        channel.exchange_declare(RPC, "topic", durable=True, auto_delete=False)
        limits = {"x-max-length": 10_000, "x-overflow": "reject-publish"}
        channel.queue_declare(self.name, durable=True, exclusive=False, auto_delete=False, arguments=limits)
        channel.queue_bind(self.name, RPC, self.key)


def dead_queue(service: str) -> str:
    """The name of a service's queue of dead letters."""
    return f"dead.{service}"


def _declare_rung(channel: Channel, rung: Rung) -> None:
    channel.exchange_declare(rung.exchange, "fanout", durable=True, auto_delete=False)
    arguments = {
        "x-message-ttl": rung.seconds * 1000,
        "x-dead-letter-exchange": AGAIN,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    _quorum(channel, rung.exchange, arguments)
    channel.queue_bind(rung.exchange, rung.exchange, "")


def _declare_queue(channel: Channel, queue: Queue) -> None:
    arguments = {
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": DEAD,
        "x-dead-letter-routing-key": queue.service,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    _quorum(channel, queue.name, arguments)
    channel.queue_bind(queue.name, AGAIN, queue.name)
    for kind in queue.types:
        channel.queue_bind(queue.name, EVENTS, kind)


def _quorum(channel: Channel, name: str, arguments: dict[str, Any]) -> None:
    channel.queue_declare(
        name, durable=True, exclusive=False, auto_delete=False, arguments={"x-queue-type": "quorum", **arguments}
    )

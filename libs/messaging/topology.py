"""Exchanges and queues, as data. Everything that must not be lost is a quorum queue.

events         (topic)   facts and requests, routing key = event type
delay.<rung>   (topic)   one quorum queue per delay; when the delay is over the broker hands the message back through
retry          (topic)   routing key = name of the queue it came from
dead-letters   (topic)   routing key = service; what cannot be handled waits there for an operator
dead           (topic)   routing key = service; where the broker itself puts what came back too often, for that service alone

They are topic exchanges so that the broker can check, by routing key, who sends what to whom (topic permissions). What all
services share (exchanges, delays) is made with the broker's definitions; each declares its own queues.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from amqp import Channel
from amqp.exceptions import NotFound

EVENTS = "events"
RETRY = "retry"
LETTERS = "dead-letters"
DEAD = "dead"
RPC = "nameko-rpc"
OPERATOR = "valet-operator"
"""The broker's user of the `valet` command (deploy/rabbitmq/access.toml)."""

DELIVERY_LIMIT = 20
"""After so many returns the broker itself gives a message up. The consumer acts long before."""
NEVER = 1_000_000_000
"""A limit that is not reached: without one, RabbitMQ 4 drops a letter that was looked at 20 times."""
MOST_MESSAGES, MOST_BYTES = 1_000_000, 1024**3
"""What one queue may hold. The broker's definitions set it as a policy, so that operators can change it in place: a queue's own
arguments never change. It must be reached before the broker's disk alarm, which stops also those who would empty the queues."""


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
        return f"delay.{self.name}"

    @property
    def queue(self) -> str:
        return f"wait.{self.name}"

    @property
    def arguments(self) -> dict[str, Any]:
        """The queue's arguments."""
        return {
            "x-queue-type": "quorum",
            "x-message-ttl": self.seconds * 1000,
            "x-dead-letter-exchange": RETRY,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }


LADDER = (Rung("1s", 1), Rung("5s", 5), Rung("30s", 30), Rung("2m", 120), Rung("10m", 600), Rung("1h", 3600))

EXCHANGES = {
    EVENTS: "topic",
    RETRY: "topic",
    LETTERS: "topic",
    DEAD: "topic",
    RPC: "topic",
    **{rung.exchange: "topic" for rung in LADDER},
}
"""Every exchange and its type."""


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
        _stand(channel, EVENTS, RETRY, LETTERS, DEAD)
        for rung in LADDER:
            _declare_rung(channel, rung)
        _quorum(channel, dead_queue(self.service), {"x-delivery-limit": NEVER})
        channel.queue_bind(dead_queue(self.service), LETTERS, self.service)
        GivenUp(self.service).declare(channel)
        _declare_queue(channel, self)


@dataclass(frozen=True, slots=True)
class GivenUp:
    """What the broker gave up of a service's, as it came: the service takes it from there and makes dead letters of it."""

    service: str

    @property
    def name(self) -> str:
        return f"given-up.{self.service}"

    def declare(self, channel: Channel) -> None:
        """Declare the queue and bind it."""
        _stand(channel, DEAD)
        _quorum(channel, self.name, {"x-delivery-limit": NEVER})
        channel.queue_bind(self.name, DEAD, self.service)


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
        """Declare the queue, and nameko's RPC exchange if nobody has."""
        _stand(channel, RPC)
        limits = {"x-max-length": 10_000, "x-overflow": "reject-publish"}
        channel.queue_declare(self.name, durable=True, exclusive=False, auto_delete=False, arguments=limits)
        channel.queue_bind(self.name, RPC, self.key)


def dead_queue(service: str) -> str:
    """The name of a service's queue of dead letters."""
    return f"dead-letters.{service}"


def letters_in_hand(service: str) -> str:
    """The exclusive queue of whoever has a service's dead letters in hand. Nothing ever lies in it."""
    return f"{service}.letters-in-hand"


def _stand(channel: Channel, *exchanges: str) -> None:
    """Make those exchanges that are not there yet. Looking needs no rights, and services have none to make them."""
    for name in exchanges:
        if not _there(channel, lambda probe, name=name: probe.exchange_declare(name, EXCHANGES[name], passive=True)):  # type: ignore[misc]  # bound early, on purpose
            channel.exchange_declare(name, EXCHANGES[name], durable=True, auto_delete=False)


def _declare_rung(channel: Channel, rung: Rung) -> None:
    _stand(channel, rung.exchange)
    if not _there(channel, lambda probe: probe.queue_declare(rung.queue, passive=True)):
        _quorum(channel, rung.queue, rung.arguments)
        channel.queue_bind(rung.queue, rung.exchange, "#")


def _there(channel: Channel, look: Callable[[Channel], object]) -> bool:
    probe = channel.connection.channel()
    try:
        look(probe)
    except NotFound:  # the broker has closed the channel with that answer
        return False
    probe.close()
    return True


def _declare_queue(channel: Channel, queue: Queue) -> None:
    arguments = {
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": DEAD,
        "x-dead-letter-routing-key": queue.service,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    _quorum(channel, queue.name, arguments)
    channel.queue_bind(queue.name, RETRY, queue.name)
    for kind in queue.types:
        channel.queue_bind(queue.name, EVENTS, kind)


def _quorum(channel: Channel, name: str, arguments: dict[str, Any]) -> None:
    channel.queue_declare(
        name, durable=True, exclusive=False, auto_delete=False, arguments={"x-queue-type": "quorum", **arguments}
    )

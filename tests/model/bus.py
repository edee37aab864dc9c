"""A bus in memory that shuffles, repeats, and now and then confirms nothing. It routes by what the services declare."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from libs.contracts import codec
from libs.messaging import intake, topology
from libs.messaging.delivery import Incoming, Outcome, Poison, Retry
from libs.messaging.entrypoints import Consumes
from libs.messaging.errors import BusUnavailable
from libs.messaging.intake import Raw
from libs.messaging.publisher import Outgoing

Handle = Callable[[Sequence[Incoming[Any]]], Sequence[Outcome]]
LARGEST = 262_144


@dataclass(frozen=True)
class Queue:
    """One use case of one service, and what flows to it."""

    name: str
    types: tuple[str, ...]
    hand_over_malformed: bool
    handle: Handle

    @property
    def declared(self) -> topology.Queue:
        return topology.Queue("memory", self.name, self.types)


@dataclass(frozen=True)
class Delivery:
    """A message in a queue."""

    queue: Queue
    item: Incoming[Any]


@dataclass
class ShufflingBus:
    """The port `Publishes`. `deliver(n)` hands over any of the waiting messages, by n."""

    clock: Callable[[], datetime]
    queues: list[Queue] = field(default_factory=list)
    waiting: list[Delivery] = field(default_factory=list)
    put_off: list[Delivery] = field(default_factory=list)
    told: list[codec.Envelope] = field(default_factory=list)
    dead: list[tuple[str, str]] = field(default_factory=list)
    unconfirmed: int = 0
    refused: int = 0
    _recent: deque[Delivery] = field(default_factory=lambda: deque(maxlen=20))

    def join(self, service: object) -> None:
        """Have a service's `@consumes` methods take part."""
        for name in dir(type(service)):
            for entrypoint in getattr(getattr(type(service), name), "nameko_entrypoints", ()):
                if isinstance(entrypoint, Consumes):
                    queue = Queue(name, entrypoint.types, entrypoint.hand_over_malformed, getattr(service, name))
                    self.queues.append(queue)

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """Take a flight. With `refused` it is not taken, with `unconfirmed` taken and not confirmed: the sender must do it
        again."""
        if messages and self.refused:
            self.refused -= 1
            raise BusUnavailable("made-up trouble")
        for message in messages:
            self.take(message.body)
        if messages and self.unconfirmed:
            self.unconfirmed -= 1
            raise BusUnavailable("made-up trouble")

    def take(self, body: bytes) -> None:
        """One message for every queue that its type flows to."""
        envelope = codec.read(body, codec.STRUCTURED, {})
        self.told.append(envelope)
        self.put([queue for queue in self.queues if envelope.type in queue.types], body)

    def put(self, queues: Sequence[Queue], body: bytes) -> None:
        """One message straight into these queues."""
        self.waiting += [Delivery(queue, self._item(queue, body)) for queue in queues]

    def deliver(self, number: int) -> bool:
        """Hand one message over; false if none waits. What is to be tried again is put off until time has passed."""
        if not self.waiting:
            return False
        delivery = self.waiting.pop(number % len(self.waiting))
        self._recent.append(delivery)
        (outcome,) = delivery.queue.handle([delivery.item])
        if isinstance(outcome, Retry):
            self.put_off.append(replace(delivery, item=replace(delivery.item, attempt=delivery.item.attempt + 1)))
        elif isinstance(outcome, Poison):
            self.dead.append((delivery.queue.name, outcome.reason.value))
        return True

    def time_passed(self) -> None:
        """What was put off waits again."""
        self.waiting += self.put_off
        self.put_off.clear()

    def redeliver(self, number: int) -> None:
        """One of the last messages comes once more, as after a lost acknowledgement."""
        if self._recent:
            self.waiting.append(self._recent[number % len(self._recent)])

    def _item(self, queue: Queue, body: bytes) -> Incoming[Any]:
        kind = codec.read(body, codec.STRUCTURED, {}).type
        raw = Raw(0, body, codec.STRUCTURED, {}, None, 0, topology.EVENTS, kind)
        item = intake.read(raw, queue.declared, LARGEST, hand_over_malformed=queue.hand_over_malformed)
        assert isinstance(item, Incoming), item
        return replace(item, first_seen=self.clock())

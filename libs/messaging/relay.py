"""From the outbox to the bus: at once after the write that filled it, and by a sweep for what a crash left behind."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from libs.contracts import codec
from libs.messaging import intake, topology
from libs.messaging.errors import MessagingError
from libs.messaging.publisher import Outgoing
from libs.mongo.errors import StoreUnavailable
from libs.mongo.outbox import Pending
from libs.telemetry import metrics
from libs.telemetry.logs import logger

SWEEP = 500  # documents at a time
IN_HAND = 60.0  # seconds; longer than a flight may take
JUST_SENT = 10.0  # seconds; longer than a majority needs to see that it was cleared

Waiting = Mapping[str, Sequence[Pending]]


class Outbox(Protocol):
    """Where events wait for the broker's confirm."""

    name: str

    def waiting(self, now: datetime, older_than: timedelta, most: int) -> Waiting: ...

    def clear(self, sent: Waiting) -> None: ...


class Publishes(Protocol):
    """What can publish a flight."""

    def publish(self, messages: Sequence[Outgoing]) -> None: ...


class Relay:
    """Empties one outbox."""

    def __init__(self, outbox: Outbox, publisher: Publishes, clock: Callable[[], float] = time.monotonic) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._clock = clock
        self._sent: dict[str, float] = {}  # event id to the time until which it needs no look

    def send(self, waiting: Waiting) -> bool:
        """Publish what a write has just put into the outbox, then forget it. False if the sweep must do it: nothing is lost."""
        if not waiting:
            return True
        pendings = [pending for some in waiting.values() for pending in some]
        self._sent.update((pending.id, self._clock() + IN_HAND) for pending in pendings)
        try:
            self._publisher.publish([_outgoing(pending) for pending in pendings])
            self._outbox.clear(waiting)
        except (MessagingError, StoreUnavailable) as error:
            logger().warning("outbox left for the relay", collection=self._outbox.name, error=type(error).__name__)
            for pending in pendings:
                self._sent.pop(pending.id, None)
            return False
        self._sent.update((pending.id, self._clock() + JUST_SENT) for pending in pendings)
        return True

    def sweep(self, older_than: float) -> int:
        """Send what has waited longer than `older_than` seconds. Returns how many events that was."""
        now, sent = datetime.now(UTC), 0
        self._forget()
        while waiting := self._waiting(now, timedelta(seconds=older_than)):
            self._measure(now, waiting)
            if not self.send(waiting):
                return sent
            sent += sum(len(pendings) for pendings in waiting.values())
        self._measure(now, {})
        return sent

    def _waiting(self, now: datetime, older_than: timedelta) -> Waiting:
        """What was left behind: neither in hand at this moment nor sent a moment ago, which may still be read for a while."""
        try:
            waiting = self._outbox.waiting(now, older_than, SWEEP)
        except StoreUnavailable as error:
            logger().warning("outbox not read", collection=self._outbox.name, error=type(error).__name__)
            return {}
        left = {id: [p for p in pendings if p.id not in self._sent] for id, pendings in waiting.items()}
        return {id: pendings for id, pendings in left.items() if pendings}

    def _forget(self) -> None:
        now = self._clock()
        self._sent = {id: until for id, until in self._sent.items() if until > now}

    def _measure(self, now: datetime, waiting: Waiting) -> None:
        times = [pending.at for pendings in waiting.values() for pending in pendings]
        metrics.OUTBOX_LEFT.labels(self._outbox.name).set(len(times))
        metrics.OUTBOX_OLDEST.labels(self._outbox.name).set((now - min(times)).total_seconds() if times else 0)


def _outgoing(pending: Pending) -> Outgoing:
    seen = {intake.FIRST_SEEN: int(time.time() * 1000)}
    return Outgoing(topology.EVENTS, pending.type, pending.body, codec.STRUCTURED, seen, message_id=pending.id)

"""From the outbox to the bus: at once after the write that filled it, and by a sweep for what a crash left behind."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from libs.contracts import codec
from libs.messaging import topology
from libs.messaging.errors import MessagingError
from libs.messaging.publisher import Outgoing
from libs.mongo.errors import StoreUnavailable
from libs.mongo.outbox import Pending
from libs.telemetry import metrics
from libs.telemetry.logs import logger

SWEEP = 500  # documents at a time

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

    def __init__(self, outbox: Outbox, publisher: Publishes) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._sending: set[str] = set()

    def send(self, waiting: Waiting) -> bool:
        """Publish what a write has just put into the outbox, then forget it. False if the sweep must do it: nothing is lost."""
        ids = {pending.id for pendings in waiting.values() for pending in pendings}
        self._sending |= ids
        if not waiting:
            return True
        try:
            self._publisher.publish([_outgoing(pending) for pendings in waiting.values() for pending in pendings])
            self._outbox.clear(waiting)
        except (MessagingError, StoreUnavailable) as error:
            logger().warning("outbox left for the relay", collection=self._outbox.name, error=type(error).__name__)
            return False
        finally:
            self._sending -= ids
        return True

    def sweep(self, older_than: float) -> int:
        """Send what has waited longer than `older_than` seconds. Returns how many events that was."""
        now = datetime.now(UTC)
        sent: set[str] = set()
        # What was cleared a moment ago may still be read for a while: it is not sent again for that.
        while waiting := _without(sent, self._waiting(now, timedelta(seconds=older_than))):
            self._measure(now, waiting)
            if not self.send(waiting):
                return len(sent)
            sent.update(pending.id for pendings in waiting.values() for pending in pendings)
        self._measure(now, {})
        return len(sent)

    def _waiting(self, now: datetime, older_than: timedelta) -> Waiting:
        try:
            waiting = self._outbox.waiting(now, older_than, SWEEP)
            # What this process is sending at this moment is not left behind, however slow the broker is.
            return {
                id: pendings for id, pendings in waiting.items() if not any(p.id in self._sending for p in pendings)
            }
        except StoreUnavailable as error:
            logger().warning("outbox not read", collection=self._outbox.name, error=type(error).__name__)
            return {}

    def _measure(self, now: datetime, waiting: Waiting) -> None:
        times = [pending.at for pendings in waiting.values() for pending in pendings]
        metrics.OUTBOX_LEFT.labels(self._outbox.name).set(len(times))
        metrics.OUTBOX_OLDEST.labels(self._outbox.name).set((now - min(times)).total_seconds() if times else 0)


def _without(sent: set[str], waiting: Waiting) -> Waiting:
    left = {id: [pending for pending in pendings if pending.id not in sent] for id, pendings in waiting.items()}
    return {id: pendings for id, pendings in left.items() if pendings}


def _outgoing(pending: Pending) -> Outgoing:
    return Outgoing(topology.EVENTS, pending.type, pending.body, codec.STRUCTURED, message_id=pending.id)

"""From the outbox to the bus: at once after the write that filled it, and by a sweep for what a crash left behind.

The sweep also empties the outboxes of what was sent since the last one, all in one write: to empty each at once would cost every
small batch a write of its own. Whoever dies in between leaves events that are sent again, under the same ids.

Nobody can tell what another replica left behind from what it still has in hand. All have the same broker and the same store, so
each goes by itself: what is younger than a few times what its own events take at present is let be. Otherwise, the slower
everything gets, the more would be sent twice, which makes it slower still.
"""

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
IN_HAND = 60.0  # seconds; longer than a flight may take, and than what was sent waits to be cleared
JUST_SENT = 10.0  # seconds; longer than a majority needs to see that it was cleared
LAGGING = 3.0  # times what this replica's own events take; another's may take that long
FADES = 0.95  # of what they took, with each look: halved in a quarter of a minute

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
        self._left: dict[str, float] = {}  # event id to the time until which it is known that nobody has it in hand
        self._uncleared: dict[str, list[Pending]] = {}
        self._flying: list[datetime] = []  # when the oldest event of each flight was made
        self._oldest: datetime | None = None  # likewise of what arrived and is not cleared; what is swept says nothing
        self._lag = 0.0

    def send(self, waiting: Waiting) -> bool:
        """Publish what a write has just put into the outbox. False if the sweep must do it: nothing is lost."""
        if not waiting:
            return True
        made = min(pending.at for some in waiting.values() for pending in some)
        self._flying.append(made)
        try:
            arrived = self._published(waiting)
        finally:
            self._flying.remove(made)
        if arrived:
            self._oldest = min(made, self._oldest or made)
        return arrived

    def clear(self) -> bool:
        """Take out of the outbox what was sent. False if that must wait for the next time."""
        sent, self._uncleared = self._uncleared, {}
        oldest, self._oldest = self._oldest, None
        try:
            if sent:
                self._outbox.clear(sent)
        except StoreUnavailable as error:
            logger().warning("outbox not cleared", collection=self._outbox.name, error=type(error).__name__)
            for id, some in sent.items():
                self._uncleared.setdefault(id, []).extend(some)
            self._oldest = oldest or self._oldest
            return False
        if oldest is not None:
            self._lag = max(self._lag, (datetime.now(UTC) - oldest).total_seconds())
        until = self._clock() + JUST_SENT
        self._sent.update((pending.id, until) for some in sent.values() for pending in some)
        return True

    def sweep(self, older_than: float) -> int:
        """Clear what was sent, then send what has waited longer than `older_than` seconds, or what takes longer at present. Returns
        how many events that was."""
        now, sent = datetime.now(UTC), 0
        if not self.clear():
            return sent
        self._forget()
        while waiting := self._waiting(now, timedelta(seconds=older_than)):
            self._measure(now, waiting)
            if not (self._published(waiting) and self.clear()):
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
        before = now - timedelta(seconds=min(LAGGING * self._lagging(now), IN_HAND))
        left = {id: [p for p in pendings if self._is_left(p, before)] for id, pendings in waiting.items()}
        return {id: pendings for id, pendings in left.items() if pendings}

    def _is_left(self, pending: Pending, before: datetime) -> bool:
        return pending.id not in self._sent and (pending.at < before or pending.id in self._left)

    def _lagging(self, now: datetime) -> float:
        """Seconds that an event takes at present from when it was made until its outbox is empty."""
        return max([self._lag, *((now - since).total_seconds() for since in self._flying)])

    def _published(self, waiting: Waiting) -> bool:
        pendings = [pending for some in waiting.values() for pending in some]
        self._sent.update((pending.id, self._clock() + IN_HAND) for pending in pendings)
        try:
            self._publisher.publish([_outgoing(pending) for pending in pendings])
        except MessagingError as error:
            logger().warning("outbox left for the relay", collection=self._outbox.name, error=type(error).__name__)
            for pending in pendings:
                self._left[pending.id] = self._sent.pop(pending.id, self._clock() + IN_HAND)
            return False
        for id, some in waiting.items():
            self._uncleared.setdefault(id, []).extend(some)
        return True

    def _forget(self) -> None:
        now = self._clock()
        self._lag = min(self._lag, IN_HAND) * FADES
        self._sent = {id: until for id, until in self._sent.items() if until > now}
        self._left = {id: until for id, until in self._left.items() if until > now}

    def _measure(self, now: datetime, waiting: Waiting) -> None:
        times = [pending.at for pendings in waiting.values() for pending in pendings]
        metrics.OUTBOX_LEFT.labels(self._outbox.name).set(len(times))
        metrics.OUTBOX_OLDEST.labels(self._outbox.name).set((now - min(times)).total_seconds() if times else 0)


class Teller:
    """Publishes what needs no outbox: whoever sends it has not acknowledged yet what it answers, and is asked again otherwise."""

    def __init__(self, publisher: Publishes) -> None:
        self._publisher = publisher

    def send(self, waiting: Waiting) -> bool:
        """Publish all. False if the broker has not confirmed it: then it must be sent again."""
        try:
            self._publisher.publish([_outgoing(pending) for some in waiting.values() for pending in some])
        except MessagingError as error:
            logger().warning("answers not confirmed", error=type(error).__name__)
            return False
        return True


def _outgoing(pending: Pending) -> Outgoing:
    seen = {intake.FIRST_SEEN: int(time.time() * 1000)}
    return Outgoing(topology.EVENTS, pending.type, pending.body, codec.STRUCTURED, seen, message_id=pending.id)

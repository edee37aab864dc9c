"""Finds grants that died before a booking does: refreshes, oldest proof first, what was not proved for a while.

Each goes through the same lease as any refresh, so replicas do not refresh twice. A tick asks for twice what steady work
needs, and never for more than `MOST` at once: what a stop has left overdue is spread over half a period.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from libs.contracts.events import Provider
from libs.crypto.errors import KeyringError
from libs.mongo.errors import StoreUnavailable
from libs.telemetry import metrics
from libs.telemetry.logs import logger
from services.auth.desk import Desk
from services.auth.domain import PROVIDERS, Connection, State
from services.auth.store import Count
from services.auth.tokens import proved

TICK: Final = 1.0  # seconds
MOST: Final = 20  # side by side, in one tick
CATCH_UP: Final = 2.0  # times the steady rate
SILENT: Final = 3  # grants that a provider could not tell of, without one between that it could
COUNTED: Final = 5.0  # seconds, at most, that a count of all connections serves


class Found(Enum):
    """What asking showed."""

    ALIVE = auto()
    DEAD = auto()
    UNKNOWN = auto()
    ELSEWHERE = auto()


class Canary:
    """One replica's share. `every` is how old, in seconds, the proof of a grant may become."""

    def __init__(self, desk: Desk, every: float) -> None:
        self._desk = desk
        self._every = timedelta(seconds=every)
        self._pause = timedelta(seconds=max(TICK, min(60.0, every / 10)))
        self._rests: dict[Provider, datetime] = {}
        self._silent: dict[Provider, int] = {}
        self._serves = timedelta(seconds=min(COUNTED, every / 10))
        self._counted: datetime | None = None
        self._alive = 0

    def tick(self) -> int:
        """Ask about the grants that are due; how many turned out dead. Raises StoreUnavailable."""
        now = self._desk.clock()
        alive = self._alive_at(now)
        most = min(MOST, math.ceil(alive * CATCH_UP * TICK / self._every.total_seconds()))
        off = self._desk.switchboard.off()
        awake = [name for name in PROVIDERS if name not in off and self._rests.get(name, now) <= now]
        if not (most and awake):
            return 0
        return self._ask(self._desk.store.unproved(awake, now - self._every, now - 2 * self._pause, most), now)

    def _alive_at(self, now: datetime) -> int:
        """How many grants live, as counted lately: counting reads as many index keys as there are connections."""
        if self._counted is None or now - self._counted >= self._serves:
            census, self._counted = self._desk.store.census(), now
            _measure(census, now)
            self._alive = sum(count.number for count in census if count.state is State.CONNECTED)
        return self._alive

    def _ask(self, connections: Sequence[Connection], now: datetime) -> int:
        found = list(zip(connections, self._desk.together(self._found, connections), strict=True))
        for provider in {connection.provider for connection in connections}:
            self._judge(provider, [what for c, what in found if c.provider == provider], now)
        return sum(what is Found.DEAD for _, what in found)

    def _judge(self, provider: Provider, found: Sequence[Found], now: datetime) -> None:
        """Leave a provider alone for a while when it could tell of none of several grants, one after the other.

        One grant that it cannot tell of is that grant's own trouble, and must not hide the others.
        """
        answered = any(what in (Found.ALIVE, Found.DEAD) for what in found)
        self._silent[provider] = 0 if answered else self._silent.get(provider, 0) + found.count(Found.UNKNOWN)
        if self._silent[provider] >= SILENT:
            self._rests[provider] = now + self._pause
            self._silent[provider] = 0

    def _found(self, connection: Connection) -> Found:
        try:
            now = proved(connection, self._desk)
        except (StoreUnavailable, KeyringError) as error:
            logger().warning("grant not proved", connection=connection.id, error=type(error).__name__)
            return Found.UNKNOWN
        if now is None:
            return Found.ELSEWHERE
        if now.state is not State.CONNECTED:
            return Found.DEAD
        return Found.ALIVE if now.version > connection.version else Found.UNKNOWN


def _measure(census: Sequence[Count], now: datetime) -> None:
    for provider in PROVIDERS:
        own = [count for count in census if count.provider == provider]
        dead = sum(count.number for count in own if count.state is State.RECONNECT_NEEDED)
        oldest = [count.oldest for count in own if count.state is State.CONNECTED and count.oldest]
        metrics.RECONNECTS_NEEDED.labels(provider).set(dead)
        metrics.OLDEST_PROOF.labels(provider).set((now - min(oldest)).total_seconds() if oldest else 0)

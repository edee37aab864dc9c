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

    def tick(self) -> int:
        """Ask about the grants that are due; how many turned out dead. Raises StoreUnavailable."""
        now = self._desk.clock()
        census = self._desk.store.census()
        _measure(census, now)
        alive = sum(count.number for count in census if count.state is State.CONNECTED)
        most = min(MOST, math.ceil(alive * CATCH_UP * TICK / self._every.total_seconds()))
        awake = [provider for provider in PROVIDERS if self._rests.get(provider, now) <= now]
        if not (most and awake):
            return 0
        return self._ask(self._desk.store.unproved(awake, now - self._every, now - self._pause, most), now)

    def _ask(self, connections: Sequence[Connection], now: datetime) -> int:
        found = list(zip(connections, self._desk.together(self._found, connections), strict=True))
        for provider in {connection.provider for connection in connections}:
            if {what for c, what in found if c.provider == provider} == {Found.UNKNOWN}:
                self._rests[provider] = now + self._pause  # it cannot tell of any, so leave it alone for a while
        return sum(what is Found.DEAD for _, what in found)

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

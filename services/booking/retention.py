"""Retention: bookings that are over for long are forgotten, and data keys that nothing is under any more are destroyed.

How long is the setting RETENTION_DAYS; without it no booking is ever forgotten. The hosts' calendar entries stay: they are the
hosts'. One replica sweeps at a time, for a bounded while, and what it leaves the next sweep does.

A key is destroyed in two steps, since a replica may seal with a key that it has read up to a minute ago: first it is marked as
retired, and whoever reads it takes the mark away. What is still marked after REST, and nothing is under, nobody can be using.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.mongo.errors import StoreUnavailable
from libs.telemetry import metrics
from libs.telemetry.logs import logger
from services.booking.retained import Retained

EVERY = 120
"""Seconds between sweeps."""
REST = timedelta(minutes=10)
"""Much longer than a replica goes on with a key that it has read (`libs.crypto.vault.CACHE_SECONDS`) and than a write may take."""
PAGE = 500
PAGES = 40
KEYS = 10_000
"""Keys looked at in one sweep; the next goes on behind them."""


@dataclass(frozen=True, slots=True)
class Sweeper:
    """What a sweep works with. Without `days` only keys without a use go."""

    store: Retained
    retire: Callable[[list[str]], None]
    clock: Callable[[], datetime]
    days: int | None = None

    @property
    def oldest(self) -> datetime | None:
        """What is over before this is forgotten."""
        return None if self.days is None else self.clock() - timedelta(days=self.days)


def sweep(sweeper: Sweeper) -> None:
    """The timer's share: forget what is due, if no other replica does; and measure what is left of it."""
    now = sweeper.clock()
    try:
        lease = sweeper.store.lease(now, now + timedelta(seconds=EVERY) * 0.9)
        if lease is not None:
            _swept(sweeper, lease)
        measure(sweeper)
    except StoreUnavailable as error:
        logger().warning("retention not swept", error=type(error).__name__)


def measure(sweeper: Sweeper) -> None:
    """How much there is that should be gone. Every replica says so, whoever sweeps. Raises StoreUnavailable."""
    before = sweeper.oldest
    if before is None:
        return
    found = sweeper.store.overdue(before)
    metrics.RETENTION_OVERDUE.set(found.count)
    metrics.RETENTION_OVERDUE_SECONDS.set((before - found.oldest).total_seconds() if found.oldest else 0)


def _swept(sweeper: Sweeper, after: str) -> None:
    destroyed = _destroyed(sweeper)
    forgotten = _forgotten(sweeper)
    _retired(sweeper, after)
    if forgotten or destroyed:
        logger().info("retention swept", bookings=forgotten, keys=destroyed)


def _forgotten(sweeper: Sweeper) -> int:
    before = sweeper.oldest
    if before is None:
        return 0
    count = 0
    for _ in range(PAGES):
        gone = sweeper.store.forget(before, PAGE)
        count += gone
        if gone < PAGE:
            break
    return count


def _retired(sweeper: Sweeper, after: str) -> None:
    """Mark the keys of those of whom nothing is stored any more."""
    before = sweeper.oldest
    if before is None:
        return
    owners = sweeper.store.owners(after, before, KEYS)
    loose = sorted(set(owners) - sweeper.store.needed(owners))
    if loose:
        sweeper.retire(loose)
    sweeper.store.keep_place(owners[-1] if len(owners) == KEYS else "")


def _destroyed(sweeper: Sweeper) -> int:
    """Destroy the keys that were marked long enough, and that nothing came under meanwhile."""
    before = sweeper.clock() - REST
    marked = sweeper.store.retired(before, KEYS)
    needed = sweeper.store.needed(marked)
    if needed:
        sweeper.store.keep(sorted(needed))
    return sweeper.store.destroy(sorted(set(marked) - needed), before)

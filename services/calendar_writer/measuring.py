"""How many entries are not as they should be, and for how long: for the metrics, and for operators who ask."""

from datetime import datetime
from typing import Any

from libs.mongo.errors import StoreUnavailable
from libs.telemetry import metrics
from services.calendar_writer.domain import Standing
from services.calendar_writer.store import Count, Ledger

UNFINISHED = (Standing.INTENDED, Standing.PARKED, Standing.FAILED)


def measure_open(ledger: Ledger, now: datetime) -> None:
    """Measure how many entries wait, and how long the oldest has: parked ones apart, since only their hosts can help."""
    try:
        counts = ledger.counts(UNFINISHED)
    except StoreUnavailable:
        return
    for standing, counted in counts.items():
        metrics.EFFECTS.labels(standing.value).set(counted.count)
    metrics.EFFECT_OLDEST.set(_age(counts[Standing.INTENDED], now))
    metrics.PARKED_OLDEST.set(_age(counts[Standing.PARKED], now))


def summary(ledger: Ledger) -> dict[str, Any]:
    """How many effects stand how, and since when the oldest of them does (RFC 3339 or null). Raises StoreUnavailable."""
    counts = ledger.counts(list(Standing))
    return {
        standing.value: {"count": counted.count, "oldest": counted.oldest.isoformat() if counted.oldest else None}
        for standing, counted in counts.items()
    }


def _age(counted: Count, now: datetime) -> float:
    return (now - counted.oldest).total_seconds() if counted.oldest else 0.0

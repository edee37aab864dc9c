"""What else a host has at the time of a booking. Pure.

Where a provider tells busy entries apart (Microsoft), each of our own entries is matched with one busy entry of exactly its time,
and whatever else overlaps the booking is the host's. Google tells merged times only: what lies over one of our own entries there
cannot be told apart, and nothing is said of it, for a false alarm would be worse.
"""

from collections.abc import Iterable, Sequence

from libs.contracts.events import TimeSpan
from libs.providers.port import Busy, Interval


def overlap(booked: Interval, busy: Busy, ours: Sequence[Interval]) -> Interval | None:
    """The first busy time of the host's own over a booking, in one calendar. `ours` are Valet's entries in that calendar."""
    foreign = _apart(busy.single, ours) if busy.single is not None else _surely(busy.intervals, ours)
    return next((interval for interval in foreign if interval.overlaps(booked)), None)


def _apart(single: Iterable[Interval], ours: Sequence[Interval]) -> list[Interval]:
    left, foreign = list(ours), []
    for interval in single:
        if interval in left:
            left.remove(interval)
        else:
            foreign.append(interval)
    return foreign


def _surely(merged: Iterable[Interval], ours: Sequence[Interval]) -> list[Interval]:
    return [interval for interval in merged if not any(_touch(interval, own) for own in ours)]


def _touch(one: Interval, other: Interval) -> bool:
    # What touches is merged into one by the provider.
    return one.start <= other.end and other.start <= one.end


def as_span(interval: Interval | None) -> TimeSpan | None:
    """As events and the ledger carry it."""
    return TimeSpan(start=interval.start, end=interval.end) if interval else None


def as_interval(span: TimeSpan) -> Interval:
    """The other way round."""
    return Interval(span.start, span.end)

"""The bench's arithmetic: percentiles, a Poisson clock, a crowd that follows Zipf's law, the judge of overlaps. Pure."""

import itertools
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Taken:
    """A time that was given to somebody: [start, end) at a host."""

    host: str
    start: datetime
    end: datetime


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of them do not exceed (nearest rank). Raises ValueError if there are none."""
    if not values:
        raise ValueError("no values, no percentile")
    rank = math.ceil(len(values) * percent / 100)
    return sorted(values)[max(rank, 1) - 1]


def poisson(rate: float, seconds: float, chance: random.Random) -> list[float]:
    """When things arrive that know nothing of each other, in seconds from now: `rate` of them a second on average."""
    arrivals = itertools.accumulate(chance.expovariate(rate) for _ in itertools.count())
    return list(itertools.takewhile(lambda at: at < seconds, arrivals))


def crowd(many: int, ranks: int, chance: random.Random) -> list[int]:
    """Whom each of `many` people wants to see: the host of rank r, from 1, is wanted 1/r times as often as the first (Zipf)."""
    return chance.choices(range(ranks), [1 / (rank + 1) for rank in range(ranks)], k=many)


def overlaps(times: Iterable[Taken]) -> list[tuple[Taken, Taken]]:
    """The pairs of neighbours that overlap; none if no two of all these times do. Touching is not overlapping."""
    ordered = sorted(times, key=lambda each: (each.host, each.start, each.end))
    pairs = itertools.pairwise(ordered)
    return [(one, next_) for one, next_ in pairs if one.host == next_.host and next_.start < one.end]


def rate(many: int, seconds: float) -> float:
    """How many a second. Raises ValueError for no time at all."""
    if seconds <= 0:
        raise ValueError("no time, no rate")
    return many / seconds


def apart(seconds: float, cpu: float, cores: int) -> float:
    """How long it would have taken had this part of the work been done on another machine, at best: the work that remains still
    needs `seconds` less the part's CPU seconds over all cores. Never under a tenth of what was measured."""
    return max(seconds - cpu / cores, seconds / 10)

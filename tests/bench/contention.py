"""Contention: many want the same. All requests go out at once, to a system at rest.

A thousand ask for one host's one time; then a crowd asks a hundred hosts, the first of which is wanted most (Zipf's law), for times
of 30 to 90 minutes within eight hours that overlap in every way. Every request must be decided exactly once, and no two bookings of
a host may overlap: intervals are compared, not claims.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from tests.bench.ground import DAYS, Ground
from tests.bench.journal import DECIDED, Asked
from tests.bench.numbers import Taken, crowd, overlaps
from tests.bench.pace import Window
from tests.bench.report import Figure
from tests.e2e.world import tomorrow

ONE_SLOT, CROWD, CROWDED_HOSTS = 1000, 2000, 100
CELL = timedelta(minutes=5)
LISTEN = 2.0  # seconds; second outcomes would come now
PART = "contention"


@dataclass(frozen=True)
class Outcome:
    """What became of a crowd."""

    requests: int
    confirmed: int
    undecided: int
    twice: int
    overlaps: int
    seconds: float


def judged(
    asked: Sequence[Asked], decided: Sequence[str], confirmed: Sequence[str], twice: int, seconds: float
) -> Outcome:
    """The outcome by what was heard: the ids of requests that were decided, and of those that were confirmed."""
    won = set(confirmed)
    times = [Taken(each.host, each.start, each.end) for each in asked if each.id in won]
    undecided = {each.id for each in asked} - set(decided)
    return Outcome(len(asked), len(times), len(undecided), twice, len(overlaps(times)), seconds)


def one_slot(ground: Ground) -> Outcome:
    """All want one time at one host."""
    host = ground.hosts(1)[0]
    span = ground.free(host)
    return _race(ground, [ground.asked(host, *span) for _ in range(ONE_SLOT)])


def zipf(ground: Ground) -> Outcome:
    """A crowd at a hundred hosts."""
    hosts, chance = ground.hosts(CROWDED_HOSTS), ground.chance
    day = tomorrow(0) + timedelta(days=DAYS + 10)  # which no other part asks for
    asked = []
    for rank in crowd(CROWD, len(hosts), chance):
        start = day + chance.randrange(0, 96) * CELL
        asked.append(ground.asked(hosts[rank], start, start + chance.randrange(6, 19) * CELL))
    return _race(ground, asked)


def figures(ground: Ground) -> list[Figure]:
    """Both, with their goals: none undecided, none decided twice, no overlap."""
    told = {f"{ONE_SLOT} for one slot": one_slot(ground), f"crowd of {CROWD} at {CROWDED_HOSTS} hosts": zipf(ground)}
    return [figure for what, outcome in told.items() for figure in _figures(what, outcome)]


def _race(ground: Ground, asked: Sequence[Asked]) -> Outcome:
    ground.rest()
    with ground.driver() as driver:
        run = driver.run(asked, Window(len(asked)), DECIDED, ground.options.patience)
        driver.listen(LISTEN)
    journal = run.journal
    outcome = judged(asked, list(journal.decided), list(journal.confirmed), len(journal.twice), run.seconds(DECIDED))
    ground.caught_up()
    return outcome


def _figures(what: str, outcome: Outcome) -> list[Figure]:
    wrong = outcome.undecided + outcome.twice
    note = f"{outcome.confirmed} confirmed"
    return [
        Figure(PART, f"{what}: not decided, or twice", wrong, "requests", goal=0, at_most=True, note=note),
        Figure(PART, f"{what}: overlaps", outcome.overlaps, "pairs", goal=0, at_most=True, note=note),
        Figure(
            PART, f"{what}: all decided after", outcome.seconds, "s", note=f"{outcome.requests / outcome.seconds:.0f}/s"
        ),
    ]

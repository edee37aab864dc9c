"""Latency: how long a booking takes, at several loads and alone.

Open loop: requests arrive by a Poisson clock (seeded), not slowed by the system, at 10, 50 and 80 % of the most that throughput has
found to be written in a second. Each is timed from when it was *planned* to arrive: waiting for the emitter counts as waiting.
Alone: one booking after another on an idle system, each sent when the one before stands in the calendar.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tests.bench.ground import Ground
from tests.bench.journal import WRITTEN, Run
from tests.bench.numbers import percentile, poisson
from tests.bench.pace import Clock, Window
from tests.bench.report import Figure

SHARES = (0.1, 0.5, 0.8)
SECONDS, ALONE = 20.0, 100
HALF_LOAD_P99, ALONE_P50, ALONE_P99 = 250.0, 25.0, 100.0  # ms until decided
GOALS: Mapping[tuple[str, float], float] = {
    ("alone", 50): ALONE_P50,
    ("alone", 99): ALONE_P99,
    ("50 % load", 99): HALF_LOAD_P99,
}
LEAD = 0.5  # seconds until the first arrival


def alone(ground: Ground) -> list[Figure]:
    """Single bookings on an idle system."""
    with ground.driver() as driver:
        driver.run(ground.requests(10, ground.hosts()), Window(1), WRITTEN, ground.options.patience)
        ground.rest()
        asked = ground.requests(ALONE, ground.hosts())
        run = driver.run(asked, Window(1), WRITTEN, ground.options.patience)
    figures = told("alone", [each.id for each in asked], run.sent_at, run, (50, 99))
    return _paced(ground, run, figures)


def at_load(ground: Ground, most: float) -> list[Figure]:
    """Arrivals by a clock. `most` is bookings a second."""
    return [figure for share in SHARES for figure in _at(ground, share, most)]


def _at(ground: Ground, share: float, most: float) -> list[Figure]:
    arrivals = poisson(share * most, SECONDS, ground.chance)
    asked = ground.requests(len(arrivals), ground.hosts())
    ground.rest()
    with ground.driver() as driver:
        began = time.monotonic() + LEAD
        planned = [began + at for at in arrivals]
        run = driver.run(asked, Clock(planned), WRITTEN, ground.options.patience)
    load = f"{share * 100:.0f} % load"
    note = f"{len(asked)} at {share * most:.0f}/s"
    return _paced(ground, run, told(load, [each.id for each in asked], planned, run, (50, 99, 99.9), note))


def _paced(ground: Ground, run: Run, figures: Sequence[Figure]) -> list[Figure]:
    pace = ground.yardstick.pace(run.began, run.ended)
    return [replace(each, pace=pace) for each in figures]


def told(
    load: str, ids: Sequence[str], planned: Sequence[float], run: Run, percents: Sequence[float], note: str = ""
) -> list[Figure]:
    """Milliseconds from planned until decided and until written."""
    began = dict(zip(ids, planned, strict=True))
    figures = []
    for name, ended in (("decided", run.journal.decided), ("written", run.journal.written)):
        taken = [(ended[id] - began[id]) * 1000 for id in ended.keys() & began.keys()]
        for percent in percents:
            goal = GOALS.get((load, percent)) if name == "decided" else None
            figures.append(
                Figure(
                    "latency",
                    f"{load}, {name}, p{percent:g}",
                    percentile(taken, percent),
                    "ms",
                    goal=goal,
                    at_most=True,
                    note=note,
                )
            )
    return figures

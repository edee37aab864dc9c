"""How long a question about free slots takes: `python -m tests.bench.slots [--json] [--rounds N]`.

Sixty days, 200 busy times for each host, slots of half an hour every quarter of an hour. Absolute times say little about another
machine, or about this one while it is busy and its caches are shared. So processor time counts, and a limit is measured beside
it, in turns with each case: sorting one host's 200 busy times and merging those that overlap, with datetimes, as plainly as it can
be done. Each case has a bound as a multiple of that limit, two to three times what it takes. The goals (1 ms for one host, 3 ms for
ten) are for a machine that has nothing else to do, and are shown beside.
"""

import argparse
import json
import random
import sys
import time
import timeit
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from rich.console import Console
from rich.table import Table

from libs.contracts.questions import HostRules, Hours
from services.availability import free, teams
from services.availability.domain import Window

MINUTE = timedelta(minutes=1)
START = datetime(2030, 3, 1, tzinfo=UTC)  # the clocks of New York change within the sixty days
DAYS, EVENTS, HOSTS = 60, 200, 10
OFFICE = HostRules(
    time_zone="America/New_York",
    weekly={day: [Hours(start="09:00", end="17:00")] for day in ("mon", "tue", "wed", "thu", "fri")},
    buffer_before_minutes=5,
    buffer_after_minutes=10,
    minimum_notice_minutes=120,
)
ALWAYS = HostRules(time_zone="America/New_York")
QUESTION = free.Question(Window(START, START + timedelta(days=DAYS)), 30 * MINUTE, START - timedelta(days=1))


@dataclass(frozen=True)
class Case:
    """What is measured, how often the limit it may take at most, and its goal on an idle machine, if it has one."""

    name: str
    run: Callable[[], Sequence[object]]
    bound: float
    goal_ms: float | None = None


@dataclass(frozen=True)
class Figure:
    """One line of the outcome."""

    name: str
    slots: int
    milliseconds: float
    ratio: float
    bound: float
    goal_ms: float | None

    @property
    def kept(self) -> bool:
        return self.ratio <= self.bound


def busy_times(seed: int) -> list[Window]:
    """Busy times of ten minutes to two hours, in no order, that may overlap."""
    chance = random.Random(seed)
    starts = [START + chance.randrange(DAYS * 1440) * MINUTE for _ in range(EVENTS)]
    return [Window(start, start + chance.randrange(10, 121) * MINUTE) for start in starts]


def merged(busy: Sequence[Window]) -> list[Window]:
    """The limit: sort and merge."""
    found: list[Window] = []
    for window in sorted(busy, key=attrgetter("start")):
        if found and window.start <= found[-1].end:
            found[-1] = Window(found[-1].start, max(found[-1].end, window.end))
        else:
            found.append(window)
    return found


def cases() -> Iterator[Case]:
    for label, rules in (("office hours", OFFICE), ("all hours", ALWAYS)):
        yield from one_host(label, rules)
        yield from ten_hosts(label, rules)


def one_host(label: str, rules: HostRules) -> Iterator[Case]:
    busy = busy_times(0)
    bits = free.bitmap(busy, QUESTION)
    window, duration, now = QUESTION.window, QUESTION.duration, QUESTION.now
    yield Case(f"one host, {label}", lambda: free.slots(rules, window, busy, [], duration, now), 40, 1)
    yield Case(
        f"one host, {label}, bitmap kept", lambda: free.windows(free.starts(rules, QUESTION, bits), QUESTION), 30
    )


def ten_hosts(label: str, rules: HostRules) -> Iterator[Case]:
    busy = {f"dr-{n:02}": busy_times(n) for n in range(HOSTS)}
    kept = {host: free.bitmap(times, QUESTION) for host, times in busy.items()}
    counts = {host: n % 4 for n, host in enumerate(busy)}

    def read() -> dict[str, int]:
        return {host: free.bitmap(times, QUESTION) for host, times in busy.items()}

    def starts(bitmaps: dict[str, int]) -> dict[str, int]:
        return {host: free.starts(rules, QUESTION, bits) for host, bits in bitmaps.items()}

    def together(bitmaps: dict[str, int]) -> Sequence[object]:
        return teams.collective_of(starts(bitmaps), QUESTION)

    def in_turn(bitmaps: dict[str, int]) -> Sequence[object]:
        return teams.round_robin_of(starts(bitmaps), counts, QUESTION)

    yield Case(f"ten hosts together, {label}", lambda: together(read()), 120, 3)
    yield Case(f"ten hosts together, {label}, bitmaps kept", lambda: together(kept), 30)
    yield Case(f"ten hosts in turn, {label}", lambda: in_turn(read()), 300, 3)
    yield Case(f"ten hosts in turn, {label}, bitmaps kept", lambda: in_turn(kept), 200)


def measured(rounds: int) -> tuple[float, list[Figure]]:
    """The limit in seconds and a figure for every case: the best of so many rounds, each of which measures all of them in turn."""
    busy, chosen = busy_times(0), list(cases())
    runs = [lambda: merged(busy), *(case.run for case in chosen)]
    best = [min(times) for times in zip(*([once(run) for run in runs] for _ in range(rounds)), strict=True)]
    limit = best[0]
    return limit, [
        Figure(case.name, len(case.run()), seconds * 1000, seconds / limit, case.bound, case.goal_ms)
        for case, seconds in zip(chosen, best[1:], strict=True)
    ]


def once(run: Callable[[], object]) -> float:
    """Seconds of processor time for one run, the best of a few: what other programs take meanwhile does not count."""
    return min(timeit.repeat(run, timer=time.thread_time, number=1, repeat=5))


def table(limit: float, figures: Sequence[Figure]) -> Table:
    shown = Table(title=f"{DAYS} days, {EVENTS} busy times a host; limit (sort and merge) {limit * 1000:.3f} ms")
    for name in ("case", "slots", "ms", "goal, ms", "times the limit", "bound"):
        shown.add_column(name, justify="left" if name == "case" else "right")
    for one in figures:
        goal = f"{one.goal_ms:g}" if one.goal_ms else ""
        ratio = f"{one.ratio:.1f}" if one.kept else f"[red]{one.ratio:.1f}[/red]"
        shown.add_row(one.name, str(one.slots), f"{one.milliseconds:.3f}", goal, ratio, f"{one.bound:g}")
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.slots", description="How long free slots take.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--rounds", type=int, default=40, help="the best of so many rounds counts (default 40)")
    given = parser.parse_args(arguments)
    limit, figures = measured(given.rounds)
    if given.json:
        cases = [{**asdict(one), "kept": one.kept} for one in figures]
        print(json.dumps({"limit_ms": limit * 1000, "cases": cases}, indent=2))  # noqa: T201 - this is the outcome
    else:
        Console().print(table(limit, figures))
    return 0 if all(one.kept for one in figures) else 1


if __name__ == "__main__":
    sys.exit(main())

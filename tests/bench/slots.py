"""How long a question about free slots takes: `python -m tests.bench.slots [--json] [--rounds N] [--strict]`.

Sixty days, 200 busy times for each host, slots of half an hour every quarter of an hour, up to the labelled list that an answer
carries. Office hours are what hosts have; all hours of all days give nearly five times as many slots, about as many as one answer
holds. The goals are for both, on a machine that has nothing else to do. Three other ways do the same job in the same run.

"From cached bits" begins with a host's busy times as bits, "from busy times" with what a calendar answers, in no order. What other
questions have left behind is there, as it is in the service: the host's hours as bits, and slots, which hosts share. "Nothing
cached" is the first question after a start.

Absolute times say little about another machine, or about this one while it is busy and its caches are shared. So processor time
counts, and a limit is measured beside it, in turns with each case: sorting one host's 200 busy times and merging those that
overlap. Each of Valet's cases has a bound as a multiple of that limit, two to three times what it takes.
"""

import argparse
import json
import random
import sys
import time
import timeit
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from rich.console import Console
from rich.table import Table

from libs.contracts.questions import HostRules, Hours
from services.availability import free, labels, teams
from services.availability.domain import Window
from tests.bench.slot_peers import PEERS, Job, merged

MINUTE = timedelta(minutes=1)
START = datetime(2030, 3, 1, tzinfo=UTC)  # the clocks of New York change within the sixty days
DAYS, EVENTS, ROUNDS = 60, 200, 20
OFFICE = HostRules(
    time_zone="America/New_York",
    weekly={day: [Hours(start="09:00", end="17:00")] for day in ("mon", "tue", "wed", "thu", "fri")},
    buffer_before_minutes=5,
    buffer_after_minutes=10,
    minimum_notice_minutes=120,
)
ALWAYS = HostRules(time_zone="America/New_York")
RULES = {"office hours": OFFICE, "all hours": ALWAYS}
QUESTION = free.Question(Window(START, START + timedelta(days=DAYS)), 30 * MINUTE, START - timedelta(days=1))


@dataclass(frozen=True)
class Case:
    """What is measured. Valet's own have a `bound`, the multiple of the limit they may take at most, and some have a goal in
    milliseconds; a peer has the name of Valet's case that must be ahead of it."""

    name: str
    run: Callable[[], Sequence[object]]
    bound: float | None = None
    goal_ms: float | None = None
    rival: str | None = None


@dataclass(frozen=True)
class Figure:
    """One line of the outcome. `times_limit` compares it with the limit, a peer's `times_valet` with what Valet takes."""

    name: str
    slots: int
    milliseconds: float
    times_limit: float
    bound: float | None = None
    goal_ms: float | None = None
    times_valet: float | None = None

    @property
    def kept(self) -> bool:
        """Within its bound."""
        return self.bound is None or self.times_limit <= self.bound

    @property
    def reached(self) -> bool | None:
        """Its goal, or that Valet is ahead of it; None if there is nothing to reach."""
        if self.times_valet is not None:
            return self.times_valet > 1
        return None if self.goal_ms is None else self.milliseconds <= self.goal_ms

    def record(self) -> dict[str, object]:
        """For a machine."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**fields, "kept": self.kept, "reached": self.reached}


def busy_times(seed: int) -> list[Window]:
    """Busy times of ten minutes to two hours, in no order, that may overlap."""
    chance = random.Random(seed)
    starts = [START + chance.randrange(DAYS * 1440) * MINUTE for _ in range(EVENTS)]
    return [Window(start, start + chance.randrange(10, 121) * MINUTE) for start in starts]


def cases() -> Iterator[Case]:
    for label, rules in RULES.items():
        yield from one_host(label, rules)
        yield from peers(label, rules)
        yield from ten_hosts(label, rules)
        yield from hundred_hosts(label, rules)


def one_host(label: str, rules: HostRules) -> Iterator[Case]:
    busy = busy_times(0)
    kept = free.bitmap(busy, QUESTION)

    def listed(bits: int) -> Sequence[object]:
        return free.answered(free.starts(rules, QUESTION, bits), QUESTION)

    def first() -> Sequence[object]:
        for cache in (labels._row, labels._chunk, labels._instants, free._within_hours):
            cache.cache_clear()
        return listed(free.bitmap(busy, QUESTION))

    yield Case(f"one host, {label}, nothing cached", first, 120)
    yield Case(_whole(label), lambda: listed(free.bitmap(busy, QUESTION)), 14, 1)
    yield Case(f"one host, {label}, from cached bits", lambda: listed(kept), 7, 0.2)
    yield Case(f"one host, {label}, from cached bits to JSON", lambda: msgspec.json.encode(listed(kept)), 25)


def peers(label: str, rules: HostRules) -> Iterator[Case]:
    job = Job.of(rules, QUESTION, busy_times(0))
    for name, peer in PEERS.items():
        yield Case(f"one host, {label}, by {name}", peer(job), rival=_whole(label))


def ten_hosts(label: str, rules: HostRules) -> Iterator[Case]:
    busy = {f"dr-{n:02}": busy_times(n) for n in range(10)}
    kept = bitmaps(busy)
    yield Case(f"10 hosts together, {label}, from busy times", lambda: together(rules, bitmaps(busy)), 80)
    yield Case(f"10 hosts together, {label}, from cached bits", lambda: together(rules, kept), 16, 1)
    yield Case(f"10 hosts in turn, {label}, from busy times", lambda: in_turn(rules, bitmaps(busy)), 240)
    yield Case(f"10 hosts in turn, {label}, from cached bits", lambda: in_turn(rules, kept), 170)


def hundred_hosts(label: str, rules: HostRules) -> Iterator[Case]:
    kept = bitmaps({f"dr-{n:02}": busy_times(n) for n in range(100)})
    yield Case(f"100 hosts, any in turn, {label}, from cached bits", lambda: in_turn(rules, kept), 360, 10)


def bitmaps(busy: Mapping[str, Sequence[Window]]) -> dict[str, int]:
    return {host: free.bitmap(times, QUESTION) for host, times in busy.items()}


def together(rules: HostRules, kept: Mapping[str, int]) -> Sequence[object]:
    return teams.collective_of({host: free.starts(rules, QUESTION, bits) for host, bits in kept.items()}, QUESTION)


def in_turn(rules: HostRules, kept: Mapping[str, int]) -> Sequence[object]:
    """Hosts with unequal numbers of bookings."""
    starts = {host: free.starts(rules, QUESTION, bits) for host, bits in kept.items()}
    return teams.round_robin_of(starts, {host: n % 4 for n, host in enumerate(kept)}, QUESTION)


def figures(rounds: int = ROUNDS) -> list[Figure]:
    """A figure for the limit, which comes first, and for every case."""
    limit, chosen = Case("limit: sorting and merging 200 busy times", _limit()), list(cases())
    ms = {case.name: seconds * 1000 for case, seconds in measured([limit, *chosen], rounds)}
    return [_figure(case, ms, ms[limit.name]) for case in (limit, *chosen)]


def measured(cases: Sequence[Case], rounds: int) -> list[tuple[Case, float]]:
    """Seconds for each: the best of so many rounds, each of which measures all of them in turn."""
    taken = zip(*([once(case.run) for case in cases] for _ in range(rounds)), strict=True)
    return [(case, min(times)) for case, times in zip(cases, taken, strict=True)]


def once(run: Callable[[], object]) -> float:
    """Seconds of processor time for one run, the best of a few: what other programs take meanwhile does not count."""
    return min(timeit.repeat(run, timer=time.thread_time, number=1, repeat=5))


def _figure(case: Case, ms: Mapping[str, float], limit: float) -> Figure:
    mine = ms[case.name]
    slots = len(case.run()) if not case.name.endswith("to JSON") else 0
    times_valet = mine / ms[case.rival] if case.rival else None
    return Figure(case.name, slots, mine, mine / limit, case.bound, case.goal_ms, times_valet)


def _whole(label: str) -> str:
    """The case that peers do as well."""
    return f"one host, {label}, from busy times"


def _limit() -> Callable[[], Sequence[object]]:
    spans = [(one.start, one.end) for one in busy_times(0)]
    return lambda: merged(spans)


def table(found: Sequence[Figure]) -> Table:
    shown = Table(title=f"Free slots: {DAYS} days, {EVENTS} busy times a host, half hours every 15 minutes")
    for name in ("case", "slots", "ms", "goal, ms", "reached", "Valet ahead", "times the limit", "bound"):
        shown.add_column(name, justify="left" if name == "case" else "right")
    for one in found:
        reached = {None: "", True: "yes", False: "[red]no[/red]"}[one.reached]
        ahead = "" if one.times_valet is None else f"{one.times_valet:.1f} times"
        ratio = f"{one.times_limit:.1f}" if one.kept else f"[red]{one.times_limit:.1f}[/red]"
        goal, bound = ("" if value is None else f"{value:g}" for value in (one.goal_ms, one.bound))
        shown.add_row(one.name, str(one.slots or ""), f"{one.milliseconds:.3f}", goal, reached, ahead, ratio, bound)
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.slots", description="How long free slots take.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"the best of so many rounds counts ({ROUNDS})")
    parser.add_argument("--strict", action="store_true", help="end with 1 also if a goal was not reached")
    given = parser.parse_args(arguments)
    found = figures(given.rounds)
    if given.json:
        print(json.dumps([one.record() for one in found], indent=2))  # noqa: T201 - this is the outcome
    else:
        Console().print(table(found))
    good = all(one.kept and (one.reached is not False or not given.strict) for one in found)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

"""Throughput: bookings a second in a closed loop, what each costs in CPU time, and how much memory every process takes.

So many requests are on their way at a time (`--in-flight`), each by another person, for times that do not collide, at hosts of
both providers. A second counts from the first request that is sent until the last outcome was heard.

*Requested to confirmed* is measured twice: with the calendar-writer running, when both share the cores, and with it stopped; the
latter is held against the bare chain of three hops. *Requested to written* is measured with everything running and held against
five hops. There the sandbox's own CPU time is taken out, for it is no part of Valet: as if it had run on another machine, the run
is shorter by that time over the number of cores. The figure as measured stands beside it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from deploy.local.programs import SERVICES
from tests.bench.cost import Cost, micros, spent
from tests.bench.floor import Chain
from tests.bench.ground import CORES, Ground
from tests.bench.journal import DECIDED, WRITTEN
from tests.bench.numbers import apart, rate
from tests.bench.pace import Window
from tests.bench.report import Figure, compared
from tests.bench.yardstick import Paced, dearer, faster

WRITER = "calendar-writer"
MOST_MEMORY = 150  # MiB of each service
CONFIRMED_GOAL, WRITTEN_GOAL = 0.5, 0.4
PART = "throughput"
BARE_OVER_OURS = "ratio: bare over ours"


@dataclass(frozen=True)
class Load:
    """One run: how many were in flight, bookings a second, and CPU microseconds for a booking by process."""

    in_flight: int
    bookings: int
    seconds: float
    confirmed: float
    written: float | None
    written_apart: float | None
    """As if the sandbox had run elsewhere."""
    cpu: Cost
    peak: Cost
    pace: float | None = None
    """The cores' meanwhile."""

    @property
    def rate(self) -> float:
        """Bookings a second, as far as this run went."""
        return self.confirmed if self.written is None else self.written

    @property
    def cost(self) -> float:
        """CPU microseconds for a booking, in all processes but the sandbox."""
        return sum(each for part, each in self.cpu.items() if part != "sandbox")

    @property
    def paced_cost(self) -> Paced:
        """The same, with the pace that it was measured at."""
        return Paced(self.cost, self.pace)

    def paced(self, rate: float | None) -> Paced:
        """One of its rates, likewise."""
        return Paced(rate or 0.0, self.pace)

    @property
    def busy(self) -> float:
        """The share of all cores that these processes took."""
        return sum(self.cpu.values()) * self.bookings / 1e6 / self.seconds / CORES


def load(ground: Ground, in_flight: int, until: str, bookings: int = 0) -> Load:
    """One run in a closed loop, from rest to rest: what other readers of the events do once the last came back is counted too."""
    many = bookings or max(ground.options.bookings, 2 * in_flight)
    asked = ground.requests(many, ground.hosts())
    ground.rest()
    meter = ground.meter()
    before = meter.cpu()
    with ground.driver() as driver:
        run = driver.run(asked, Window(in_flight), until, ground.options.patience)
        at_end = spent(before, meter.cpu())
    ground.rest()
    cpu = spent(before, meter.cpu())
    seconds = run.seconds(until)
    written = rate(many, seconds) if until == WRITTEN else None
    parted = rate(many, apart(seconds, at_end["sandbox"], CORES)) if written else None
    confirmed = rate(many, run.seconds(DECIDED))
    pace = ground.yardstick.pace(run.began, run.ended)
    return Load(in_flight, many, seconds, confirmed, written, parted, micros(cpu, many), meter.peak(), pace)


def without_writer(ground: Ground) -> list[Load]:
    """Requested to confirmed with the writer stopped. It is started again, and catches up before this returns."""
    ground.stack.stop_part(WRITER)
    try:
        return [_best_of(ground, wide, DECIDED) for wide in ground.options.in_flight]
    finally:
        ground.stack.start([WRITER])
        ground.caught_up()


def everything(ground: Ground) -> list[Load]:
    """Requested to written with everything running."""
    return [_best_of(ground, wide, WRITTEN) for wide in ground.options.in_flight]


def cheapest(loads: Sequence[Load]) -> Load:
    """The one whose bookings took the least CPU time, had the pace been the same."""
    return min(loads, key=lambda each: dearer(each.paced_cost, loads[0].paced_cost))


def _best_of(ground: Ground, in_flight: int, until: str) -> Load:
    rounds = [load(ground, in_flight, until) for _ in range(ground.options.rounds)]
    return max(rounds, key=lambda each: faster(each.paced(each.rate), rounds[0].paced(rounds[0].rate)))


def figures(alone: Sequence[Load], together: Sequence[Load], floors: Mapping[str, Chain]) -> list[Figure]:
    """Both, and what they cost."""
    return [
        *[_confirmed(each, floors["confirmed"]) for each in alone],
        *[figure for each in together for figure in _written(each, floors["written"])],
        *_best(alone, together, floors),
        *_costs(cheapest(alone), "confirmed, writer stopped", floors["confirmed"]),
        *_costs(cheapest(together), "written", floors["written"]),
        *_memory(together),
    ]


def _confirmed(each: Load, floor: Chain) -> Figure:
    return compared(
        PART,
        f"confirmed, writer stopped, {each.in_flight} in flight",
        each.paced(each.confirmed),
        "bookings/s",
        floor.paced,
        note=_busy(each),
    )


def _written(each: Load, floor: Chain) -> list[Figure]:
    wide, unit = f"{each.in_flight} in flight", "bookings/s"
    return [
        compared(PART, f"confirmed, writer running, {wide}", each.paced(each.confirmed), unit, floor.paced),
        compared(PART, f"written, {wide}, as measured", each.paced(each.written), unit, floor.paced, note=_busy(each)),
        compared(PART, f"written, {wide}, sandbox elsewhere", each.paced(each.written_apart), unit, floor.paced),
    ]


def _best(alone: Sequence[Load], together: Sequence[Load], floors: Mapping[str, Chain]) -> list[Figure]:
    confirmed = _most([each.paced(each.confirmed) for each in alone], floors["confirmed"])
    written = _most([each.paced(each.written_apart) for each in together], floors["written"])
    return [
        compared(PART, "requested to confirmed", confirmed, "bookings/s", floors["confirmed"].paced, CONFIRMED_GOAL),
        compared(PART, "requested to written", written, "bookings/s", floors["written"].paced, WRITTEN_GOAL),
    ]


def _most(rates: Iterable[Paced], floor: Chain) -> Paced:
    """The highest, had the pace been the same."""
    return max(rates, key=lambda each: faster(each, floor.paced))


def _costs(each: Load, what: str, floor: Chain) -> list[Figure]:
    ratio = dearer(Paced(floor.cost, floor.pace), each.paced_cost)
    name = f"CPU for a booking {what}, sandbox left out"
    total = Figure(PART, name, each.cost, "µs", floor.cost, ratio, note=BARE_OVER_OURS, pace=each.pace)
    return [total, *[_share(each, part, what) for part in each.cpu]]


def _share(each: Load, part: str, what: str) -> Figure:
    share = each.cpu[part] * each.bookings / 1e6 / each.seconds / CORES
    return Figure(PART, f"  {part}, {what}", each.cpu[part], "µs", note=f"{share:.0%} of the cores", pace=each.pace)


def _memory(together: Sequence[Load]) -> list[Figure]:
    peak = together[-1].peak
    return [
        Figure(
            "memory",
            f"{part}, at most",
            peak[part],
            "MiB",
            goal=MOST_MEMORY if part in SERVICES else None,
            at_most=True,
        )
        for part in peak
    ]


def _busy(each: Load) -> str:
    return f"{each.bookings} bookings, {each.busy:.0%} of the cores"

"""Growth: more replicas, more bookings in the stores, and a backlog.

*Replicas.* One, two and four of each service on the same cores, a thousand bookings in flight for each: what a booking costs in CPU
time must not grow with them, so that the rate grows with the cores. *Stores.* The same load before and after so many bookings were
put into the stores (10,000; with `--big` a million). *Backlog.* So many requests (10,000; with `--big` 100,000) wait on the bus
while the services are down. It is timed from when they are ready again, and memory half way is held against memory in the end.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from deploy.local.programs import SERVICES
from tests.bench.cost import Cost, micros, spent
from tests.bench.drive import Driver
from tests.bench.filling import fill
from tests.bench.ground import Ground, replicas
from tests.bench.journal import WRITTEN
from tests.bench.numbers import rate
from tests.bench.report import Figure, compared, dear
from tests.bench.throughput import MOST_MEMORY, Load, load
from tests.bench.yardstick import Paced

REPLICAS = (1, 2, 4)
IN_FLIGHT, BOOKINGS = 1000, 4000
FLAT = 1.25  # times the CPU time of a booking with one replica
FLAT_MEMORY = 1.1  # times the memory half way
KEPT = 0.8  # of the rate before
STORED, BACKLOG = (10_000, 1_000_000), (10_000, 100_000)
PART = "growth"


@dataclass(frozen=True)
class Drained:
    """How a backlog went: seconds, CPU microseconds for each, and MiB of each service half way, in the end and at most."""

    seconds: float
    cost: float
    half: Cost
    end: Cost
    peak: Cost


def more_replicas(ground: Ground) -> list[Figure]:
    """What a booking costs with more of each service."""
    loads = {many: _with(ground, many) for many in REPLICAS}
    alone = loads[1].paced_cost
    return [figure for many, each in loads.items() for figure in _replicated(many, each, alone)]


def more_bookings(ground: Ground) -> list[Figure]:
    """The rate and the cost before and after the stores were filled."""
    many = STORED[ground.options.big]
    before = load(ground, IN_FLIGHT, WRITTEN)
    fill(ground, many)
    ground.rest()
    after = load(ground, IN_FLIGHT, WRITTEN)
    what = f"with {many:,} bookings more in the stores"
    return [
        compared(
            PART,
            f"written {what}",
            after.paced(after.written),
            "bookings/s",
            before.paced(before.written),
            KEPT,
            "ratio: to before",
        ),
        dear(PART, f"CPU for a booking {what}", after.paced_cost, before.paced_cost, FLAT, "ratio: to before"),
        *_memory(after, f"{what}: "),
    ]


def backlog(ground: Ground) -> list[Figure]:
    """How fast a backlog is drained, and in how much memory."""
    many = BACKLOG[ground.options.big]
    asked = ground.requests(many, ground.hosts())
    for service in SERVICES:
        ground.stack.stop_part(service)
    with ground.driver() as driver:
        driver.put(asked, ground.options.patience)
        ground.stack.start(SERVICES)
        drained = _drained(ground, driver, many)
    ground.caught_up()
    what, note = f"backlog of {many:,}", f"{drained.seconds:.0f} s, {drained.cost:.0f} µs each"
    return [
        Figure(PART, f"{what}: written, from ready on", rate(many, drained.seconds), "bookings/s", note=note),
        *[figure for service in SERVICES for figure in _filled(f"{what}: {service}", service, drained)],
    ]


def _drained(ground: Ground, driver: Driver, many: int) -> Drained:
    meter, services, patience = ground.meter(), list(SERVICES), max(ground.options.patience, many / 20)
    before, began = meter.cpu(), time.monotonic()
    driver.collect(many // 2, WRITTEN, patience)
    half = meter.resident(services)
    driver.collect(many, WRITTEN, patience)
    cost = micros(spent(before, meter.cpu()), many)
    return Drained(
        time.monotonic() - began, sum(cost.values()) - cost["sandbox"], half, meter.resident(services), meter.peak()
    )


def _filled(what: str, service: str, drained: Drained) -> list[Figure]:
    end, half = drained.end[service], drained.half[service]
    note = "ratio: to half way"
    return [
        Figure(PART, f"{what}, at most", drained.peak[service], "MiB", goal=MOST_MEMORY, at_most=True),
        Figure(PART, f"{what}, at the end", end, "MiB", half, end / half, FLAT_MEMORY, at_most=True, note=note),
    ]


def _with(ground: Ground, many: int) -> Load:
    with _replicas(ground, [part for service in SERVICES for part in replicas(service, many)[1:]]):
        return load(ground, IN_FLIGHT * many, WRITTEN, BOOKINGS)


@contextmanager
def _replicas(ground: Ground, parts: Sequence[str]) -> Iterator[None]:
    ground.stack.start(parts)
    try:
        yield
    finally:
        for part in parts:
            ground.stack.stop_part(part)


def _replicated(many: int, each: Load, alone: Paced) -> list[Figure]:
    what = f"{many} of each service" if many > 1 else "one of each service"
    goal = FLAT if many > 1 else None
    return [
        dear(PART, f"CPU for a booking, {what}", each.paced_cost, alone, goal, "ratio: to one"),
        Figure(
            PART,
            f"written, {what}",
            each.written or 0,
            "bookings/s",
            note=f"{each.busy:.0%} of the cores",
            pace=each.pace,
        ),
    ]


def _memory(each: Load, what: str) -> list[Figure]:
    return [
        Figure(PART, f"{what}{service}, at most", each.peak[service], "MiB", goal=MOST_MEMORY, at_most=True)
        for service in SERVICES
    ]

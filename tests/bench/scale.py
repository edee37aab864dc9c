"""What bookings a second take, by simulation.

`python -m tests.bench.scale [RATE[/CELLS]…] [--json] [--parameters FILE] [--seed N]`

For each rate (100, 1,000, 10,000 a second, and 10,000 in ten cells, each a Valet with servers of its own): how many replicas of
each service, cores of broker and store's primary, so that nothing waits for long and nothing grows; what waits then, how long
decisions and entries take, and what a million bookings cost. `k8s/SCALE.md` says what that means, and what the model leaves out.
All that was measured or assumed stands in `scale.json`.
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from tests.bench.scale_cost import Bill, Bytes, Prices, bill
from tests.bench.scale_model import Cost, Load, Outcome, Simulation, Size, System

PARAMETERS = Path(__file__).with_name("scale.json")
RATES = ("100", "1000", "10000", "10000/10")
BUSY = 0.7
"""The share of the time that broker, store, and replicas with full batches may be busy: the rest is for bursts, and for what fails.
A replica may be busier than that with small batches, which grow when more comes in."""
FULL = 0.95
"""A queue whose leader is busy for more than this share of the time grows."""
LAG = 0.25
"""Seconds that 99 % of the events may at most wait in a queue."""
LEAST = 3
"""Replicas of a service and nodes of a broker: one in each zone."""
BOOKINGS = 30_000
"""Of one simulation at most."""
TRIES = 40


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """CPU microseconds for a booking, less what is used at rest: one booking after another, and with full queues.

    `messages` a booking makes (of the store: writes), in so many batches for a booking each time.
    """

    messages: int
    alone_us: float
    alone_batches: float
    full_us: float
    full_batches: float

    def cost(self) -> Cost:
        """What each message and each batch cost, so that both measurements come out."""
        batch = (self.alone_us - self.full_us) / (self.alone_batches - self.full_batches)
        return Cost((self.full_us - batch * self.full_batches) / self.messages, batch)


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of parameters. `system` lacks the costs: they come from what was measured."""

    measured: Mapping[str, Measured]
    system: dict[str, Any]
    bytes: Bytes
    prices: Prices


class Parameters(msgspec.Struct, frozen=True):
    """What it says."""

    system: System
    bytes: Bytes
    prices: Prices


@dataclass(frozen=True)
class Plan:
    """What a rate takes in each of so many cells. `limit`: what there is only one of, if that cannot carry it."""

    rate: float
    cells: int
    size: Size
    outcome: Outcome
    bill: Bill
    limit: str | None = None

    def record(self) -> dict[str, object]:
        """For a machine."""
        outcome = self.outcome
        return {
            "rate": self.rate,
            "cells": self.cells,
            "limit": self.limit,
            **asdict(self.size),
            "lag_p99_s": dict(outcome.lags),
            "batch": dict(outcome.batches),
            "busy": dict(outcome.busy),
            "decided_s": {"p50": outcome.slowest(50), "p99": outcome.slowest(99)},
            "written_s": {"p50": outcome.slowest(50, written=True), "p99": outcome.slowest(99, written=True)},
            "dollars_per_million": msgspec.to_builtins(self.bill) | {"once": self.bill.once},
        }


def plan(given: Parameters, rate: float, cells: int = 1, seed: int = 1) -> Plan:
    """Begin with what the work takes at the least, add where it is too little until it is enough. ValueError: it never is."""
    system, each = given.system, rate / cells
    size, load = least(system, each), Load(each, min(20.0, max(4.0, BOOKINGS / each)), seed)
    for _ in range(TRIES):
        outcome = Simulation(system, size, load).run()
        larger = grown(system, size, outcome)
        if larger == size:
            return Plan(rate, cells, size, outcome, bill(size, each, given.bytes, given.prices), limit(outcome))
        size = larger
    raise ValueError(f"{rate:g} bookings a second in {cells} cells: not carried by {size}")


def least(system: System, rate: float) -> Size:
    """As if all batches were full."""
    load: dict[str, float] = dict.fromkeys(system.services, 0.0)
    writes = queued = 0.0
    for stage in system.stages:
        many = rate * max(1, len(stage.after))
        load[stage.service] += system.services[stage.service].seconds(system.batch) / system.batch * many
        writes += system.store.seconds(system.batch * stage.writes, stage.waits) / system.batch * many
        queued += system.brokering(system.batch, 1) / system.batch * many
    replicas = {name: max(LEAST, cores(busy)) for name, busy in load.items()}
    replicas["auth"] = max(LEAST, cores(rate * system.auth_us / 1e6))
    return Size(replicas, cores(queued), cores(writes))


def cores(busy: float) -> int:
    """How many cores for work that keeps so many busy."""
    return max(1, math.ceil(busy / BUSY))


def grown(system: System, size: Size, outcome: Outcome) -> Size:
    """A tenth more, at least one more, of what is too busy or lets events wait too long. As it is if that is enough."""
    broker, store = (outcome.busy[name] > BUSY for name in ("broker", "store"))
    if broker or store:
        more_broker, more_store = (
            more(size.broker) if broker else size.broker,
            more(size.store) if store else size.store,
        )
        return replace(size, broker=more_broker, store=more_store)
    late = {stage.service for stage in system.stages if outcome.lags[stage.queue] > LAG and not limit(outcome)}
    return replace(size, replicas={name: more(many) if name in late else many for name, many in size.replicas.items()})


def more(many: int) -> int:
    return many + max(1, many // 10)


def limit(outcome: Outcome) -> str | None:
    """The queue whose one leader has most to do, if that is too much."""
    leaders = {name: busy for name, busy in outcome.busy.items() if name.startswith("queue ")}
    worst = max(leaders, key=lambda name: leaders[name])
    return worst if leaders[worst] > FULL else None


def read(path: Path = PARAMETERS) -> Parameters:
    """Raises OSError, msgspec.DecodeError."""
    file = msgspec.json.decode(path.read_bytes(), type=File)
    costs = {name: msgspec.to_builtins(measured.cost()) for name, measured in file.measured.items()}
    servers = {name: costs.pop(name) for name in ("store", "broker")}
    system = msgspec.convert({**file.system, **servers, "services": costs}, System)
    return Parameters(system, file.bytes, file.prices)


def table(plans: Sequence[Plan]) -> Table:
    shown = Table(title="Bookings a second, by simulation")
    for name in (
        "bookings/s",
        "replicas",
        "cores of broker, store",
        "longest lag, p99",
        "decided p50, p99",
        "written p99",
    ):
        shown.add_column(name)
    shown.add_column("$ per million: services, broker, store, network", justify="right")
    shown.add_column("limit")
    for one in plans:
        replicas = ", ".join(f"{name} {many}" for name, many in one.size.replicas.items())
        costs = (one.bill.services, one.bill.broker, one.bill.store, one.bill.network)
        shown.add_row(
            f"{one.rate:,.0f}" if one.cells == 1 else f"{one.rate:,.0f} in {one.cells} cells, of which each",
            replicas,
            f"{one.size.broker}, {one.size.store}",
            longest(one.outcome.lags),
            f"{one.outcome.slowest(50) * 1000:.0f}, {one.outcome.slowest(99) * 1000:.0f} ms",
            f"{one.outcome.slowest(99, written=True) * 1000:.0f} ms",
            f"{one.bill.once:.2f}: {', '.join(f'{cost:.2f}' for cost in costs)}",
            one.limit or "",
        )
    return shown


def longest(lags: Mapping[str, float]) -> str:
    queue = max(lags, key=lambda name: lags[name])
    return f"{lags[queue] * 1000:.0f} ms in {queue}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description="What bookings a second take.")
    parser.add_argument("rates", nargs="*", help=f"bookings a second, in so many cells ({' '.join(RATES)})")
    parser.add_argument(
        "--parameters", type=Path, default=PARAMETERS, help="what was measured and assumed (scale.json)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = parser.parse_args(arguments)
    parameters = read(given.parameters)
    asked = [(rate, cells or "1") for rate, _, cells in (text.partition("/") for text in given.rates or RATES)]
    plans = [plan(parameters, float(rate), int(cells), given.seed) for rate, cells in asked]
    if given.json:
        print(json.dumps([one.record() for one in plans], indent=2))  # noqa: T201 - this is the outcome
    else:
        Console().print(table(plans))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.bench [PART …]`: how fast Valet is, beside what bare parts allow in the same run. See README.md."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from deploy.local.errors import StackError
from deploy.local.layout import REPOSITORY
from tests.bench.ground import Options, ground
from tests.bench.parts import PARTS, Parts
from tests.bench.report import Report, machine

OUTPUT = REPOSITORY / "build" / "bench.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 1 if a part broke, or with `--strict` if a goal was not reached."""
    given, load = _given(arguments), os.getloadavg()
    console = Console(width=None if sys.stdout.isatty() else 190)
    with ground(_options(given)) as place:
        report = Report(given.seed, machine(place.stack, load))
        parts = Parts(place, report, OUTPUT.parent / "bench", lambda text: console.print(text, style="dim"))
        for name in given.parts or PARTS:
            try:
                parts.run(name)
            except Exception as error:  # noqa: BLE001 - what the others find must not be lost with it
                report.broken[name] = f"{type(error).__name__}: {error}"
            report.save(given.json)
    report.show(console)
    console.print(f"\n{given.json}")
    return 1 if report.broken or (given.strict and not report.reached) else 0


def _given(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; ends with 2 and a word if it is wrong."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.parts if name not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}. There are: {', '.join(PARTS)}")
    return given


def _options(given: argparse.Namespace) -> Options:
    return Options(
        state=given.state,
        keep=given.keep,
        seed=given.seed,
        bookings=given.bookings,
        hosts=given.hosts,
        in_flight=tuple(given.in_flight),
        big=given.big,
        rounds=given.rounds,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of: {', '.join(PARTS)}; all of them if none is named"
    )
    parser.add_argument("--state", type=Path, help="the folder of a stack to use; one that runs stays up")
    parser.add_argument("--keep", action="store_true", help="leave the stack up, to go on with --state")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--bookings", type=int, default=3000, help="in each run of throughput (at least twice those in flight)"
    )
    parser.add_argument("--hosts", type=int, default=20)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[200, 1000, 4000])
    parser.add_argument(
        "--rounds", type=int, default=1, help="so often throughput and its floors are repeated; the best counts"
    )
    parser.add_argument(
        "--big", action="store_true", help="a million bookings in the store, a backlog of 100,000: many minutes"
    )
    parser.add_argument("--strict", action="store_true", help="end with 1 if a goal was not reached")
    parser.add_argument("--json", type=Path, default=OUTPUT, help="where the figures go (build/bench.json)")
    return parser


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except StackError as error:
        raise SystemExit(f"bench: {error}") from None

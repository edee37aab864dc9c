"""`make faults [MINUTES=60] [SEED=n] [ROWS=1,2]`: every row as an experiment, judged, with a report."""

import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated

import typer

from deploy.local.stack import Stack
from tests.faults.experiment import Experiment, run
from tests.faults.ground import Ground
from tests.faults.points import Points
from tests.faults.rows import MIX, named
from tests.faults.site import FOLDER, running
from tests.reports import Line, Report

AT_ONCE = 3  # faults in one round of the mix


def main(
    minutes: Annotated[float, typer.Option(envvar="MINUTES", help="How long row 29, the mix of all, goes on.")] = 10,
    seed: Annotated[
        int | None, typer.Option(envvar="SEED", help="What is left to chance; printed, to do it again.")
    ] = None,
    rows: Annotated[str, typer.Option(envvar="ROWS", help="Some rows only: 1,8b,29")] = "",
    told: Annotated[bool, typer.Option("--list", help="Name the rows, and do nothing.")] = False,
) -> None:
    """Break Valet in every known way, under load, and see that its promises hold."""
    if told:
        sys.stdout.writelines(f"{name:>4}  {each.what}; within {each.bound:.0f} s\n" for name, each in named().items())
        raise typer.Exit
    seed = seed if seed is not None else random.randrange(1_000_000)
    wanted = {row.strip() for row in rows.split(",") if row.strip()}
    chosen = _chosen(wanted)
    mixed = not wanted or str(MIX) in wanted
    report = Report("faults", seed, f"rows {rows or 'all'}" + (f", mix of {minutes:g} minutes" if mixed else ""))
    sys.stdout.write(f"faults: seed {seed}\n")
    for line in _lines(chosen, seed, minutes if mixed else 0):
        _tell(line, report)
    sys.stdout.write(f"\n{report.text()}\n{report.save()}\n")
    raise typer.Exit(0 if report.held else 1)


def _chosen(wanted: set[str]) -> dict[str, Experiment]:
    known = named()
    if unknown := wanted - {*known, *(str(each.row) for each in known.values()), str(MIX)}:
        raise typer.BadParameter(f"no such row: {', '.join(sorted(unknown))}. There are: {', '.join(known)}, {MIX}")
    return {name: each for name, each in known.items() if not wanted or wanted & {name, str(each.row)}}


def _tell(line: Line, report: Report) -> None:
    """Each row as soon as it is known: a run takes long, and may be broken off."""
    report.lines.append(line)
    sys.stdout.write(f"{line.row:>4} {'held' if line.held else 'BROKE'}  {line.what}  ({line.figure})\n")
    sys.stdout.writelines(f"        {seen}\n" for seen in line.seen)
    sys.stdout.flush()
    report.save()


def _lines(chosen: Mapping[str, Experiment], seed: int, minutes: float) -> Iterator[Line]:
    shared = {name: each for name, each in chosen.items() if each.stack is None}
    if shared or minutes:
        with running() as (stack, points):
            for name, experiment in shared.items():
                yield one(name, [experiment], stack, seed, points)
            yield from _mix(stack, points, seed, minutes)
    for name, experiment in chosen.items():
        if experiment.stack is not None:
            with _own(experiment) as (stack, points):
                yield one(name, [experiment], stack, seed, points)


def one(name: str, experiments: Sequence[Experiment], stack: Stack, seed: int, points: Points) -> Line:
    """One load with these faults. Whatever else goes wrong is told in the line too."""
    ground = Ground(stack, name, seed, points, experiments[0].traffic)
    ground.excused = frozenset().union(*(each.excused for each in experiments))
    ground.letters = frozenset().union(*(each.letters for each in experiments))
    try:
        stack.start()  # whatever an experiment before this one has left lying
        points.disarm()
        ground.sandbox.clear_faults()
        return run(experiments, ground, name)
    except Exception as error:  # noqa: BLE001 - a row that cannot be carried out did not hold, and the next is tried
        return Line(
            name, "; then ".join(each.what for each in experiments), False, "", [f"{type(error).__name__}: {error}"]
        )


def _mix(stack: Stack, points: Points, seed: int, minutes: float) -> Iterator[Line]:
    chance = random.Random(f"{seed}/{MIX}")
    candidates = {name: each for name, each in named().items() if each.mixed and each.stack is None}
    ends = time.monotonic() + minutes * 60
    number = 0
    while time.monotonic() < ends:
        number += 1
        names = chance.sample(sorted(candidates), AT_ONCE)
        line = one(f"{MIX}.{number}", [candidates[name] for name in names], stack, seed, points)
        yield replace(line, what=f"mix of rows {', '.join(names)}")


@contextmanager
def _own(experiment: Experiment) -> Iterator[tuple[Stack, Points]]:
    assert experiment.stack is not None
    folder = FOLDER.with_name(f"faults-{experiment.row}")
    with experiment.stack(folder) as stack:
        yield stack, Points(folder / "points")


if __name__ == "__main__":
    typer.run(main)

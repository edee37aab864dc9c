"""What an experiment is, and how one is run: load, fault, load, and the judge until all is right or the time is over."""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from deploy.local.stack import Stack
from tests.faults.ground import Ground
from tests.faults.history import History
from tests.faults.judge import faults
from tests.faults.load import Traffic
from tests.reports import STATE, Line

BEFORE, AFTER = 24, 24  # events of load before the fault begins, and after it is over
POLL = 1.0  # seconds between two judgements
PATIENCE = 2  # times the bound: so long it is watched, to tell "late" from "never"
SHOWN = 8


@dataclass(frozen=True)
class Experiment:
    """`bound` is seconds: from the end of the fault until every request, also those made after it, is decided and every calendar
    is as it must be. `excused` are reasons of rejection that the fault may cause, `letters` reasons of dead letters."""

    row: int
    what: str
    bound: float
    fault: Callable[[Ground], None]
    mixed: bool = True
    excused: frozenset[str] = frozenset()
    letters: frozenset[str] = frozenset()
    traffic: Traffic = field(default_factory=Traffic)
    stack: Callable[[Path], AbstractContextManager[Stack]] | None = None


def run(experiments: Sequence[Experiment], ground: Ground, name: str) -> Line:
    """One load, with these faults one after the other; what came of it, as a line of the report."""
    bound = max(each.bound for each in experiments)
    with ground:
        ground.flow(BEFORE)
        for experiment in experiments:
            ground.again()
            experiment.fault(ground)
            ground.over()
        ground.flow(AFTER)
        ground.load.stop()
        history, wrong, took = _judged(ground, bound)
    late = [f"not recovered within {bound:.0f} s"] if took > bound else []
    seen = [*ground.wrong, *late, *wrong]
    figures = [f"recovered in {took:.0f} s of {bound:.0f}", f"{len(history.asked)} requests"]
    figures += [f"{what} {value}" for what, value in ground.figures]
    if seen:
        seen = [*seen[:SHOWN], *_more(seen), f"all that was seen: {_kept(history, name)}"]
    return Line(name, "; then ".join(each.what for each in experiments), not seen, ", ".join(figures), seen)


def _judged(ground: Ground, bound: float) -> tuple[History, list[str], float]:
    """What is wrong in the end, and how long it took from the end of the fault until nothing was."""
    deadline = ground.ended + PATIENCE * bound
    while True:
        wrong, took = faults(history := ground.history()), time.monotonic() - ground.ended
        if not wrong:
            # Once more, and with what is not looked at each time: nothing may move any more.
            history = ground.history(whole=True)
            return history, faults(history), took
        if time.monotonic() > deadline:
            return history, wrong, took
        time.sleep(POLL)


def _kept(history: History, name: str) -> Path:
    """The whole evidence in a file, for whoever looks for the cause."""
    folder = STATE / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"faults-{name}.json"
    file.write_text(json.dumps(asdict(history), indent=1, default=str) + "\n")
    return file


def _more(seen: Sequence[str]) -> list[str]:
    return [f"and {len(seen) - SHOWN} more"] if len(seen) > SHOWN else []

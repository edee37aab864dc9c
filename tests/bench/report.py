"""What the bench found: a table for a person, JSON for a machine."""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from deploy.local.layout import REPOSITORY
from deploy.local.mongod import binary
from deploy.local.stack import Stack
from tests.bench.yardstick import Paced, dearer, faster

LIBRARIES = ("nameko", "kombu", "amqp", "eventlet", "pymongo", "msgspec", "cryptography", "requests")
LOCK = REPOSITORY / "uv.lock"


@dataclass(frozen=True)
class Figure:
    """One figure. `limit` is what bare parts, or a peer, reached in the same run, `ratio` how the two compare."""

    part: str
    what: str
    value: float
    unit: str
    limit: float | None = None
    ratio: float | None = None
    goal: float | None = None
    at_most: bool = False
    """Whether the goal is a bound from above. It is about the ratio if there is one, else about the value."""
    note: str = ""
    pace: float | None = None
    """The cores' pace while it was measured."""

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.goal is None:
            return None
        measured = self.value if self.ratio is None else self.ratio
        return measured <= self.goal if self.at_most else measured >= self.goal


def compared(
    part: str, what: str, rate: Paced, unit: str, limit: Paced, goal: float | None = None, note: str = ""
) -> Figure:
    """A rate beside what bare parts reached, at the same pace. Raises ZeroDivisionError if they reached nothing."""
    return Figure(part, what, rate.value, unit, limit.value, faster(rate, limit), goal, note=note, pace=rate.pace)


def dear(part: str, what: str, cost: Paced, limit: Paced, goal: float | None = None, note: str = "") -> Figure:
    """CPU microseconds beside others, at the same pace."""
    ratio = dearer(cost, limit)
    return Figure(part, what, cost.value, "µs", limit.value, ratio, goal, at_most=True, note=note, pace=cost.pace)


@dataclass
class Report:
    """The figures of one run, and what they were measured on."""

    seed: int
    machine: dict[str, Any]
    figures: list[Figure] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    """What a part has to say beyond its figures."""
    broken: dict[str, str] = field(default_factory=dict)
    """The parts that could not be measured, and why."""
    best_pace: float | None = None
    """What the cores can do when nobody is in their way."""

    @property
    def reached(self) -> bool:
        """Whether every goal was reached, and there was one."""
        if self.broken:
            return False
        goals = [each.reached for each in self.figures if each.reached is not None]
        return bool(goals) and all(goals)

    def save(self, file: Path) -> None:
        """Write the JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        figures = [asdict(each) | {"reached": each.reached} for each in self.figures]
        document = {
            "seed": self.seed,
            "machine": self.machine,
            "best_pace": self.best_pace,
            "figures": figures,
            "details": self.details,
            "broken": self.broken,
        }
        file.write_text(json.dumps(document, indent=2, default=str) + "\n", encoding="utf-8")

    def show(self, console: Console) -> None:
        """Print the table."""
        machine = self.machine
        console.print(
            f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']:.0f} GiB, Linux {machine['kernel']}"
        )
        console.print(f"load {machine['load']}, seed {self.seed}, commit {machine['commit']}")
        console.print(", ".join(f"{name} {version}" for name, version in machine["versions"].items()))
        console.print(table(self.figures, self.best_pace))
        for part, why in self.broken.items():
            console.print(f"[red]{part} could not be measured: {why}")


def table(figures: Sequence[Figure], best_pace: float | None = None) -> Table:
    """The figures, for a person."""
    shown = Table("part", "what", "figure", "bare", "ratio", "goal", "reached", "cores at", "note")
    for each in figures:
        limit, ratio, goal = (_number(number) for number in (each.limit, each.ratio, each.goal))
        sign = "" if each.goal is None else "≤ " if each.at_most else "≥ "
        verdict = {None: "", True: "[green]yes", False: "[red]no"}[each.reached]
        pace = f"{each.pace / best_pace:.0%}" if each.pace and best_pace else ""
        value = f"{_number(each.value)} {each.unit}"
        shown.add_row(each.part, each.what, value, limit, ratio, sign + goal, verdict, pace, each.note)
    return shown


def machine(stack: Stack | None, load: tuple[float, float, float]) -> dict[str, Any]:
    """What it was measured on; `load` is the load average before the run began."""
    versions = {"python": platform.python_version(), "mongod": _mongod(), **_libraries()}
    if stack is not None:
        versions |= {"rabbitmq": stack.rabbitmqctl("version").stdout.strip()}
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3,
        "kernel": platform.release(),
        "load": [round(each, 2) for each in load],
        "commit": _commit(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(sys.argv[1:]),
        "versions": versions,
    }


def _libraries() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


def _mongod() -> str:
    done = subprocess.run([str(binary()), "--version"], capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.splitlines()[0].removeprefix("db version v") if done.stdout else "unknown"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    """The commit, with a + where files differ from it; "unknown" outside of a clone."""
    git = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty=+", "--exclude=*"]
    done = subprocess.run(git, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.strip() or "unknown"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"

"""The shapes of calls as the sandbox wrote them down (deploy/sandbox/traffic.py)."""

import os
import re
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from deploy.sandbox.traffic import CALLS, mark

VALETS_OWN: Final = "valet"
"""The User-Agent of everything that leaves through libs/providers/egress.py. Tests and browsers have others."""

RUN: Final = ".run"
GOOGLE_API: Final = "/google/calendar/v3"
GRAPH: Final = "/graph/v1.0"


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of call. Values of query parameters are `*` unless they come from a closed list; of headers the names alone stand
    here, all but `host`."""

    agent: str
    operation: str
    method: str
    path: str
    query: dict[str, list[str]] = {}
    fields: list[str] = []
    scopes: list[str] = []
    prefer: str = ""
    headers: list[str] = []

    def __str__(self) -> str:
        asked = "&".join(f"{name}={value}" for name, values in self.query.items() for value in values)
        return f"{self.method} {self.path}" + (f"?{asked}" if asked else "")


class Run(msgspec.Struct, frozen=True):
    """A run of tests: its name, how many workers shared it, and when it was (Unix times in seconds)."""

    name: str
    workers: int
    began: float
    ended: float


def read(files: Iterable[Path]) -> list[Shape]:
    """The distinct shapes in these files. msgspec.ValidationError if a line is none."""
    lines = {line for file in files if file.is_file() for line in file.read_bytes().splitlines()}
    return [msgspec.json.decode(line, type=Shape) for line in sorted(lines)]


def counted(files: Iterable[Path]) -> dict[str, int]:
    """How often each shape was asked, by its line; 0 where the calls were not counted."""
    marks: Counter[str] = Counter()
    lines: set[str] = set()
    for file in files:
        calls = file.with_name(file.name + CALLS)
        marks.update(calls.read_text().split() if calls.is_file() else ())
        lines.update(file.read_text().splitlines() if file.is_file() else ())
    return {line: marks[mark(line)] for line in sorted(lines)}


def note_run(file: Path, began: float) -> None:
    """Keep beside the file which run its calls are of; `began` is a Unix time in seconds."""
    if file.is_file():
        words = os.environ.get("PYTEST_XDIST_TESTRUNUID", "alone"), os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")
        run = Run(words[0], int(words[1]), began, time.time())
        file.with_name(file.name + RUN).write_bytes(msgspec.json.encode(run))


def run_of(file: Path) -> "Run | None":
    """The run whose calls a file holds; None if it was not noted."""
    note = file.with_name(file.name + RUN)
    return msgspec.json.decode(note.read_bytes(), type=Run) if note.is_file() else None


def unnamed(path: str) -> str:
    """The path with the names of its parameters left out, so that two descriptions of it can be compared."""
    return re.sub(r"\{[^}]*\}", "{}", path).strip("/")

"""Each defence taken out once, in a copy of the code, to see that its row breaks: `python -m tests.attacks --without-defences`."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import typer

from deploy.local.stack import Stack
from tests.attacks.defences import DEFENCES, Defence
from tests.reports import Line, Report

REPOSITORY: Final = Path(__file__).parents[2]
LEFT_BEHIND: Final = (
    ".git",
    ".venv",
    ".valet",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    "__pycache__",
)
PATIENCE: Final = 900.0
"""Seconds for the tests of one row, with the start of a stack."""
BROKE: Final = re.compile(r"^FAILED .*?::(\S*?\[.*?\])(?: - (.*))?$", re.MULTILINE)


def taken_out(seed: int, wanted: list[str]) -> Report:
    """Try each defence's row without it."""
    chosen = [defence for defence in DEFENCES if not wanted or defence.row in wanted]
    report = Report("attacks-without-defences", seed, f"{len(chosen)} defences, each taken out once")
    with tempfile.TemporaryDirectory(prefix="valet-attacks-") as folder:
        tree = Path(folder) / "valet"
        shutil.copytree(REPOSITORY, tree, ignore=shutil.ignore_patterns(*LEFT_BEHIND), symlinks=True)
        (tree / ".venv").symlink_to(REPOSITORY / ".venv")
        for defence in chosen:
            report.lines.append(without(defence, tree, Path(folder) / "state", seed))
            tell(report.lines[-1])
            report.save()
    return report


def tell(line: Line) -> None:
    """Say how far it is: each takes a minute or two."""
    typer.echo(
        f"{line.row:>3}  {'breaks' if line.held else 'NOT SHOWN'}  {line.what}  {line.figure}{''.join(line.seen)}"
    )


def without(defence: Defence, tree: Path, state: Path, seed: int) -> Line:
    """Whether the row's tests fail in the copy when the defence is gone."""
    file = tree / defence.file
    whole = file.read_text(encoding="utf-8")
    if whole.count(defence.old) != 1:
        return missed(defence, f"{defence.file} no longer holds it: bring the list up to date")
    file.write_text(whole.replace(defence.old, defence.new), encoding="utf-8")
    try:
        return judged(defence, row_tried(defence.row, tree, state, seed))
    except subprocess.TimeoutExpired:
        return missed(defence, f"the row's tests had not ended after {PATIENCE:.0f} s")
    finally:
        file.write_text(whole, encoding="utf-8")
        cleared(state)


def judged(defence: Defence, done: "subprocess.CompletedProcess[str]") -> Line:
    """A test must have failed, and where it is known which one, that one: others may fail for reasons of their own."""
    broke = BROKE.search(done.stdout)
    if done.returncode != 1 or broke is None:
        return missed(defence, f"pytest ended with {done.returncode}: {done.stdout[-300:]}")
    if defence.shown not in broke[1]:
        return missed(defence, f"{broke[1]} fails ({broke[2]}), and not {defence.shown}")
    return Line(defence.row, defence.what, True, f"{broke[1]}: {broke[2]}")


def missed(defence: Defence, why: str) -> Line:
    """The line of a defence that was not shown to matter."""
    return Line(defence.row, defence.what, False, seen=[why])


def row_tried(row: str, tree: Path, state: Path, seed: int) -> "subprocess.CompletedProcess[str]":
    """Run the tests of a row on the copy until one fails, with a stack of its own."""
    env = {
        **os.environ,
        "COLUMNS": "240",
        "PYTHONPATH": str(tree),
        "VALET_TEST_STATE": str(state),
        "VALET_ATTACK_ROWS": row,
        "VALET_ATTACK_SEED": str(seed),
    }
    command = [sys.executable, "-m", "pytest", "tests/attacks", "-p", "no:cacheprovider", "--tb=line", "-x"]
    return subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)


def cleared(state: Path) -> None:
    """Nothing is left of the stack: what was stored, sealed or declared without one defence would break the next experiment."""
    if (state / "alone").exists():
        Stack(state / "alone").stop(at_once=True)
    shutil.rmtree(state, ignore_errors=True)

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


def taken_out(seed: int, wanted: list[str]) -> Report:
    """Try each defence's row without it."""
    report = Report("attacks-without-defences", seed, f"{len(DEFENCES)} defences, each taken out once")
    with tempfile.TemporaryDirectory(prefix="valet-attacks-") as folder:
        tree = Path(folder) / "valet"
        shutil.copytree(REPOSITORY, tree, ignore=shutil.ignore_patterns(*LEFT_BEHIND), symlinks=True)
        (tree / ".venv").symlink_to(REPOSITORY / ".venv")
        for defence in DEFENCES:
            if not wanted or defence.row in wanted:
                report.lines.append(without(defence, tree, Path(folder) / "state", seed))
                tell(report.lines[-1])
    return report


def tell(line: Line) -> None:
    """Say how far it is: each takes a minute or two."""
    typer.echo(f"{line.row:>3}  {'breaks' if line.held else 'HOLDS ALL THE SAME'}  {line.what}")


def without(defence: Defence, tree: Path, state: Path, seed: int) -> Line:
    """Whether the row's tests fail in the copy when the defence is gone."""
    file = tree / defence.file
    whole = file.read_text(encoding="utf-8")
    if whole.count(defence.old) != 1:
        return Line(
            defence.row, defence.what, False, seen=[f"{defence.file} no longer holds it: bring the list up to date"]
        )
    file.write_text(whole.replace(defence.old, defence.new), encoding="utf-8")
    try:
        done = row_tried(defence.row, tree, state, seed)
    finally:
        file.write_text(whole, encoding="utf-8")
    broke = re.findall(r"^FAILED .*?::(\S*?\[.*?\])", done.stdout, re.MULTILINE)
    if done.returncode == 1 and broke:
        return Line(defence.row, defence.what, True, f"{len(broke)} tests say so, as {broke[0]}")
    return Line(defence.row, defence.what, False, seen=[f"pytest ended with {done.returncode}: {done.stdout[-300:]}"])


def row_tried(row: str, tree: Path, state: Path, seed: int) -> "subprocess.CompletedProcess[str]":
    """Run the tests of a row on the copy, with a stack of its own."""
    env = {
        **os.environ,
        "PYTHONPATH": str(tree),
        "VALET_TEST_STATE": str(state),
        "VALET_ATTACK_ROWS": row,
        "VALET_ATTACK_SEED": str(seed),
    }
    command = [sys.executable, "-m", "pytest", "tests/attacks", "-p", "no:cacheprovider", "--tb=no", "-x"]
    return subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, timeout=900, check=False)

"""`make privacy [SEED=n]`: made-up people looked for everywhere, erasures, and the list of all that the providers were asked."""

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from deploy.local.errors import StackError
from deploy.local.layout import REPOSITORY
from tests.privacy import egress
from tests.privacy.ground import Ground
from tests.privacy.search import Search
from tests.reports import STATE, Line, Report

ERASURES = ("tests/e2e/test_erasure.py", "tests/contract/stores/test_erasures.py")
LONGEST = 1800  # seconds for the tests of erasure


def main(
    seed: Annotated[
        int | None, typer.Option(envvar="SEED", help="What is left to chance; printed, to do it again.")
    ] = None,
) -> None:
    """Look for what Valet must not tell, and show that the look is not blind. The last line says whether all held."""
    seed = seed if seed is not None else random.randrange(1_000_000)
    _tell(f"privacy: seed {seed}")
    kept = egress.files_of_last_run(STATE)  # before this run's own tests write theirs
    folder = Path(tempfile.mkdtemp(prefix="valet-privacy-"))
    try:
        canaries = _canaries(Search(Ground(folder), seed, quick=False))
        report = Report("privacy", seed, canaries.length, canaries.lines, canaries.notes, canaries.began)
        report.lines.append(_erasures(folder))
        files = kept or [folder / "harness" / "traffic.jsonl"]
        report.lines += egress.lines(files)
        report.notes.append(f"Providers: {egress.source(files)}; the whole list: {_listed(egress.listing(files))}")
    finally:
        subprocess.run(["/bin/rm", "-rf", str(folder)], check=False)
    _tell(f"\n{report.text()}\n{report.save()}")
    raise typer.Exit(0 if report.held else 1)


def _canaries(search: Search) -> Report:
    """A walk that does not come to its end is a line of the report too."""
    try:
        search.run()
    except (AssertionError, OSError, RuntimeError, StackError) as error:
        broken = Line("walk", "all paths to their end", held=False, seen=[f"{type(error).__name__}: {error}"])
        return Report("canaries", search.seed, "broken off", [*search.lines, broken])
    finally:
        search.ground.stop()
    return search.report()


def _erasures(folder: Path) -> Line:
    """The tests of erasure, run as they are, with servers of their own."""
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", *ERASURES]
    done = subprocess.run(
        ["/usr/bin/env", f"VALET_TEST_STATE={folder / 'erasures'}", *command],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    seen = [] if done.returncode == 0 else done.stdout.splitlines()[-12:]
    figure = f"{done.stdout.splitlines()[-1] if done.stdout else ''}, {time.monotonic() - began:.0f} s"
    return Line("erased", "people are gone from everywhere, and others are not", done.returncode == 0, figure, seen)


def _listed(text: str) -> Path:
    """Print the whole list, and keep it."""
    _tell(f"\n{text}")
    file = STATE / "reports" / "egress.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    typer.run(main)

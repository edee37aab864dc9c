"""`make attacks [SEED=n] [ROWS=7,+1]`: every row, in its long form, with a report.

`--without-defences` takes each defence out once, and expects its row to break.
"""

import os
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import typer

from tests.attacks.rows import ROWS, row_of
from tests.reports import Line, Report

FOLDER = Path(__file__).parent


class Seen:
    """What became of each test, by its row: a plugin of pytest's."""

    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()
        self.failed: defaultdict[str, list[str]] = defaultdict(list)
        self.left_out: defaultdict[str, list[str]] = defaultdict(list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test, with as many tries as it says that it made."""
        row = row_of(report.nodeid)
        if row is None:
            return
        if report.failed:
            self.failed[row].append(f"{report.nodeid.rpartition('::')[2]} ({report.when})")
        elif report.skipped:
            self.left_out[row].append(report.nodeid.rpartition("::")[2])
        elif report.when == "call":
            self.passed[row] += sum(int(str(value)) for name, value in report.user_properties if name == "tried") or 1

    def line(self, row: str) -> Line:
        """The row's line. A row of which nothing was tried has not held."""
        held = bool(self.passed[row]) and not self.failed[row]
        return Line(row, ROWS[row], held, f"{self.passed[row]} tried", self.failed[row])


def main(
    seed: int = typer.Option(1, envvar="SEED", help="what is chosen by chance is chosen by this"),
    rows: str = typer.Option("", envvar="ROWS", help="only these, as in 7,12,+1"),
    without_defences: bool = typer.Option(
        False, "--without-defences", help="take each defence out: its row must then break"
    ),
) -> None:
    """Attack Valet's own parts on this machine, and say what held."""
    wanted = [row for row in rows.split(",") if row]
    unknown = [row for row in wanted if row not in ROWS]
    if unknown:
        raise typer.BadParameter(
            f"there is no row {', '.join(unknown)}; there are {', '.join(ROWS)}", param_hint="--rows"
        )
    if without_defences:
        from tests.attacks.taking_out import taken_out

        report = taken_out(seed, wanted)
    else:
        report = attacked(seed, wanted)
    report.save()
    typer.echo(report.text())
    raise typer.Exit(0 if report.held else 1)


def attacked(seed: int, wanted: list[str]) -> Report:
    """Run the rows' tests and count."""
    os.environ |= {"VALET_ATTACKS": "long", "VALET_ATTACK_SEED": str(seed), "VALET_ATTACK_ROWS": ",".join(wanted)}
    report, seen = Report("attacks", seed, "the long form"), Seen()
    for module in [name for name in sys.modules if name == "tests.attacks.rows"]:
        del sys.modules[module]  # read again, with what was asked for
    code = pytest.main([str(FOLDER), f"--hypothesis-seed={seed}", "-p", "no:cacheprovider"], plugins=[seen])
    tried = [row for row in ROWS if not wanted or row in wanted]
    report.lines = [seen.line(row) for row in tried]
    if code not in (0, 1):
        report.lines.append(Line("all", "the run itself", False, seen=[f"pytest ended with {code}: see above"]))
    report.notes = [f"{row} left out: {name}" for row, names in seen.left_out.items() for name in names]
    return report


if __name__ == "__main__":
    typer.run(main)

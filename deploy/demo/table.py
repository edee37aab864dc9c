"""The live view: a row for each booking or change, a column for each step."""

from collections.abc import Sequence
from typing import Protocol

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from deploy.cli import views
from deploy.cli.journey import Step
from deploy.cli.screen import Screen
from deploy.demo.people import DemoHost

WIDE = 96  # columns that the table needs
COLUMNS = ("requested", "held", "decided", "in calendar")
IN_CALENDAR = ("written", "removed")


class Watched(Protocol):
    """What became of a request so far."""

    @property
    def steps(self) -> Sequence[Step]: ...

    @property
    def outcome(self) -> str | None: ...

    @property
    def reason(self) -> str | None: ...


class Shown(Protocol):
    """A row: a request, whose calendar it is about, and how it must come out."""

    @property
    def label(self) -> str: ...

    @property
    def who(self) -> DemoHost: ...

    @property
    def journey(self) -> Watched: ...

    @property
    def over(self) -> bool: ...

    @property
    def as_expected(self) -> bool: ...


class Board:
    """All rows; draws itself anew each time it is looked at, as a table or, on a narrow terminal, as lines."""

    def __init__(self, rows: Sequence[Shown], screen: Screen) -> None:
        self.rows = rows
        self.screen = screen

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width >= WIDE:
            yield self._table()
        else:
            for row in self.rows:
                yield line(row, self.screen)

    def _table(self) -> RenderableType:
        table = views.grid("request", "host", *COLUMNS, "outcome", "as expected")
        for column in table.columns[2:6]:
            column.justify = "right"
        for row in self.rows:
            cells = [Text(_ms(row, column)) for column in COLUMNS]
            table.add_row(row.label, row.who.host, *cells, _outcome(row), _verdict(row, self.screen))
        return table


def line(row: Shown, screen: Screen) -> Text:
    """A row as a line."""
    steps = ", ".join(f"{column} {_ms(row, column)}" for column in COLUMNS)
    return Text.assemble(_verdict(row, screen), f" {row.label} ({row.who.host}): {steps}; ", _outcome(row))


def _ms(row: Shown, column: str) -> str:
    names = {"decided": (row.journey.outcome,), "in calendar": IN_CALENDAR}.get(column, (column,))
    step = next((step for step in row.journey.steps if step.name in names), None)
    if step is not None:
        return "0 ms" if step.name == "requested" else f"{step.ms} ms"
    return "-" if row.over else "…"


def _outcome(row: Shown) -> Text:
    found = row.journey
    if found.outcome is None:
        return Text("…", style="dim")
    return views.state(found.outcome, found.reason)


def _verdict(row: Shown, screen: Screen) -> Text:
    return screen.mark(row.as_expected) if row.over else Text("·" if screen.fancy else ".", style="dim")

"""The live view: a row for each booking, a column for each step."""

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from deploy.cli import views
from deploy.cli.screen import Screen
from deploy.demo.bookings import Row

WIDE = 96  # columns that the table needs
DECIDED = ("confirmed", "rejected")
COLUMNS = (("requested",), ("held",), DECIDED, ("written",))


class Board:
    """All rows; draws itself anew each time it is looked at, as a table or, on a narrow terminal, as lines."""

    def __init__(self, rows: Sequence[Row], screen: Screen) -> None:
        self.rows = rows
        self.screen = screen

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width >= WIDE:
            yield self._table()
        else:
            for row in self.rows:
                yield line(row, self.screen)

    def _table(self) -> RenderableType:
        table = views.grid("booking", "host", "requested", "held", "decided", "written", "outcome", "as expected")
        for column in table.columns[2:6]:
            column.justify = "right"
        for row in self.rows:
            cells = [Text(_ms(row, names)) for names in COLUMNS]
            table.add_row(row.label, row.who.host, *cells, _outcome(row), _verdict(row, self.screen))
        return table


def line(row: Row, screen: Screen) -> Text:
    """A row as a line."""
    names = ("requested", "held", "decided", "written")
    steps = ", ".join(f"{name} {_ms(row, found)}" for name, found in zip(names, COLUMNS, strict=True))
    return Text.assemble(_verdict(row, screen), f" {row.label} ({row.who.host}): {steps}; ", _outcome(row))


def _ms(row: Row, names: Sequence[str]) -> str:
    step = row.journey.step(*names)
    if step is not None:
        return "0 ms" if step.name == "requested" else f"{step.ms} ms"
    return "-" if row.over else "…"


def _outcome(row: Row) -> Text:
    found = row.journey
    if found.outcome is None:
        return Text("…", style="dim")
    return views.state(found.outcome, found.reason)


def _verdict(row: Row, screen: Screen) -> Text:
    return screen.mark(row.as_expected) if row.over else Text("·" if screen.fancy else ".", style="dim")

"""What all that people are shown is made of: times, states, tables."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich import box
from rich.table import Table
from rich.text import Text

GOOD = frozenset(
    {"finished", "confirmed", "approved", "written", "connected", "active", "removed", "moved", "rescheduled"}
)
BAD = frozenset(
    {"rejected", "refused", "expired", "write-failed", "failed", "reconnect-needed", "disconnected", "cancelled"}
)


def when(text: str | datetime | None, where: ZoneInfo | None = None) -> str:
    """An instant as the clocks of `where` show it (UTC without one). What is not an instant stays as it is."""
    if text is None:
        return "-"
    try:
        at = text if isinstance(text, datetime) else datetime.fromisoformat(text)
    except ValueError:
        return str(text)
    return at.astimezone(where or UTC).strftime("%Y-%m-%d %H:%M:%S %Z") if at.tzinfo else str(text)


def state(text: str, reason: str | None = None) -> Text:
    """A state in its colour, with its reason."""
    style = "green" if text in GOOD else "red" if text in BAD else "yellow"
    return Text.assemble((text, style), f" ({reason})" if reason else "")


def grid(*titles: str) -> Table:
    """A table that also a narrow terminal can show."""
    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def listing(*titles: str) -> Table:
    """The same, of what is named by ids: they stay whole, to be copied, however narrow the window is."""
    table = grid(*titles)
    table.columns[0].no_wrap = True
    return table


def pairs(rows: Iterable[tuple[str, Any]]) -> Table:
    """Names and values."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value if isinstance(value, Text) else Text(str(value)))
    return table

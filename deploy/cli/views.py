"""How answers look to people. Pure: from answers to texts and tables."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.cli.asking import Booking, ConnectLink, Host, Slots
from deploy.cli.journey import Journey, Step

GOOD = frozenset({"confirmed", "approved", "written", "connected", "active", "removed"})
BAD = frozenset({"rejected", "refused", "write-failed", "failed", "reconnect-needed", "disconnected", "cancelled"})

WHY = {
    "unknown-host": "nobody of that name is known: connect a calendar with `valet connect`",
    "host-not-connected": "no calendar is connected: connect one with `valet connect`",
    "calendar-unreadable": "the calendar cannot be read now, and unknown is never free: try again",
    "reconnect-needed": "the grant no longer works: have the host connect again with `valet connect`",
}


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


def pairs(rows: Iterable[tuple[str, Any]]) -> Table:
    """Names and values."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value if isinstance(value, Text) else Text(str(value)))
    return table


def link(found: ConnectLink, host: str) -> Sequence[str]:
    """The link on a line of its own, so that it can be copied."""
    until = f"until {when(found.expires_at)}" if found.expires_at else "for a short time"
    return (f"Send this link to {host}. It works once, {until}:", found.url)


def slots(found: Slots, where: ZoneInfo) -> RenderableType:
    """Free times, a line for each day."""
    days: dict[str, list[str]] = {}
    for start, end in by_day(found, where):
        midnight = "24:00" if end.date() > start.date() else f"{end:%H:%M}"
        days.setdefault(f"{start:%a %Y-%m-%d}", []).append(f"{start:%H:%M}-{midnight}")
    table = grid(f"day ({where.key})", "free")
    for day, times in days.items():
        table.add_row(day, "  ".join(times))
    read = Text("\n").join(
        Text.assemble(f"{calendar.provider}: as of {when(calendar.as_of, where)} ", _complete(calendar.why))
        for calendar in found.calendars
    )
    return Group(table if days else Text("no free time"), read)


def by_day(found: Slots, where: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """Slots that overlap or touch joined into stretches, cut at the midnights of `where`."""
    joined: list[list[datetime]] = []
    for slot in found.slots:
        start, end = datetime.fromisoformat(slot.start), datetime.fromisoformat(slot.end)
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    for start, end in joined:
        at = start.astimezone(where)
        while at < end:
            midnight = datetime.combine(at.date() + timedelta(days=1), time(), where)
            yield at, min(midnight, end.astimezone(where))
            at = midnight


def hosts(found: Sequence[Host]) -> RenderableType:
    """Hosts with what is connected."""
    table = grid("host", "state", "calendar", "connection", "since")
    for host in found:
        if not host.connections:
            table.add_row(host.host, state(host.state), "-", "-", "-")
        for connection in host.connections:
            table.add_row(
                host.host,
                state(host.state),
                Text.assemble(f"{connection.provider} ", state(connection.state)),
                connection.connection,
                when(connection.since),
            )
    return table if found else Text("no host is known yet: connect one with `valet connect HOST`")


def booking(found: Booking) -> RenderableType:
    """A booking with its history."""
    entry = found.calendar
    written = state(entry.state, entry.reason) if entry else Text("-")
    head = pairs(
        [
            ("booking", found.booking),
            ("state", state(found.state, found.reason)),
            ("host", found.host or "-"),
            ("start", when(found.start)),
            ("end", when(found.end)),
            ("request", f"{found.request.get('id', '-')} from {found.request.get('source', '-')}"),
            ("calendar", Text.assemble(written, f" {entry.provider or ''} {when(entry.at)}" if entry else "")),
        ]
    )
    table = grid("at", "version", "state", "reason")
    for past in found.history:
        table.add_row(when(past.at), str(past.version), state(past.state), past.reason or "")
    return Group(head, Text(), table)


def step(found: Step) -> Text:
    """A step as a line."""
    return Text.assemble(f"{found.ms:>8} ms  ", state(found.name, found.reason))


def journey(found: Journey) -> RenderableType:
    """The steps so far."""
    waiting = [] if found.over else [Text("          …", style="dim")]
    return Group(*(step(one) for one in found.steps), *waiting)


def journey_document(found: Journey) -> dict[str, Any]:
    """The journey for scripts: nothing of the invitee."""
    return {
        "booking": found.booking,
        "outcome": found.outcome,
        "reason": found.reason,
        "written": found.step("written") is not None,
        "host": found.host,
        "start": found.start.isoformat(),
        "end": found.end.isoformat(),
        "request": {"source": found.request.source, "id": found.request.id},
        "steps": [{"step": one.name, "ms": one.ms, "reason": one.reason} for one in found.steps],
    }


def _complete(why: str | None) -> Text:
    return Text(f"incomplete: {why}", style="red") if why else Text("complete", style="green")

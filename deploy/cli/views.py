"""How answers look to people. Pure: from answers to texts and tables."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.cli.asking import (
    Booking,
    CalendarRead,
    Connection,
    ConnectLink,
    Evidence,
    Host,
    LifeStep,
    Past,
    Slot,
    Slots,
    TeamSlot,
    TeamSlots,
)
from deploy.cli.journey import Journey, Step

GOOD = frozenset(
    {"finished", "confirmed", "approved", "written", "connected", "active", "removed", "moved", "rescheduled"}
)
BAD = frozenset(
    {"rejected", "refused", "expired", "write-failed", "failed", "reconnect-needed", "disconnected", "cancelled"}
)

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


def link(found: ConnectLink, host: str) -> Sequence[str]:
    """The link on a line of its own, so that it can be copied."""
    until = f"until {when(found.expires_at)}" if found.expires_at else "for a short time"
    return (f"Send this link to {host}. It works once, {until}:", found.url)


def slots(found: Slots, where: ZoneInfo) -> RenderableType:
    """Free times, a line for each day."""
    days: dict[str, list[str]] = {}
    for start, end in by_day(found.slots, where):
        days.setdefault(f"{start:%a %Y-%m-%d}", []).append(_span(start, end))
    table = grid(f"day ({where.key})", "free")
    for day, times in days.items():
        table.add_row(day, "  ".join(times))
    return Group(table if days else Text("no free time"), _read(found.calendars, where))


def team_slots(found: TeamSlots, where: ZoneInfo) -> RenderableType:
    """Free times of several hosts. Where any will do, each start has the one whose turn it is."""
    parts: list[RenderableType] = [_team(found, where) if found.slots else Text("no free time")]
    for name, evidence in found.hosts.items():
        parts.append(_evidence(name, evidence, where))
    return Group(*parts)


def by_day(found: Sequence[Slot | TeamSlot], where: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """Slots that overlap or touch joined into stretches, cut at the midnights of `where`."""
    joined: list[list[datetime]] = []
    for slot in found:
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
    """Hosts with what is connected, when each connection last worked, and which calendars are used."""
    table = grid("host", "state", "connection", "calendars", "since, last proof")
    for host in found:
        if not host.connections:
            table.add_row(host.host, state(host.state), "-", "-", "-")
        for connection in host.connections:
            table.add_row(
                host.host,
                state(host.state),
                Text.assemble(f"{connection.provider} ", state(connection.state), f"\n{connection.connection}"),
                _used(connection),
                f"{when(connection.since)}\n{when(connection.proved_at)}",
            )
    return table if found else Text("no host is known yet: connect one with `valet connect HOST`")


def life(found: dict[str, list[LifeStep]]) -> RenderableType:
    """What became of a host's connections, oldest first."""
    table = grid("at", "connection", "state", "reason")
    steps = sorted(((step, name) for name, some in found.items() for step in some), key=lambda row: row[0].at)
    for step_, name in steps:
        table.add_row(when(step_.at), name, state(step_.state), step_.reason or "")
    return table


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
            *_open_ends(found),
        ]
    )
    table = grid("at", "version", "state", "reason", "time")
    for past in found.history:
        time_ = f"{when(past.start)} - {when(past.end)}" if past.start else ""
        table.add_row(when(past.at), str(past.version), state(past.state), _why(past), time_)
    return Group(head, Text(), table)


def step(found: Step) -> Text:
    """A step as a line."""
    return Text.assemble(f"{found.ms:>8} ms  ", state(found.name, found.reason))


class Followed(Protocol):
    """Something whose steps are watched."""

    @property
    def steps(self) -> Sequence[Step]: ...

    @property
    def over(self) -> bool: ...


def journey(found: Followed) -> RenderableType:
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


def _team(found: TeamSlots, where: ZoneInfo) -> RenderableType:
    if found.mode == "all":
        table = grid(f"day ({where.key})", "all are free")
        days: dict[str, list[str]] = {}
        for start, end in by_day(found.slots, where):
            days.setdefault(f"{start:%a %Y-%m-%d}", []).append(_span(start, end))
        for day, times in days.items():
            table.add_row(day, "  ".join(times))
        return table
    table = grid(f"from ({where.key})", "until", "whose turn it is")
    for slot in found.slots:
        table.add_row(when(slot.start, where), when(slot.end, where), ", ".join(slot.hosts))
    return table


def _evidence(name: str, evidence: Evidence, where: ZoneInfo) -> RenderableType:
    why = Text.assemble(": not counted, ", (evidence.why, "red")) if evidence.why else Text("")
    return Group(Text.assemble((name, "bold"), why), _read(evidence.calendars, where))


def _read(calendars: Sequence[CalendarRead], where: ZoneInfo) -> Text:
    return Text("\n").join(
        Text.assemble(f"{calendar.provider}: as of {when(calendar.as_of, where)} ", _complete(calendar.why))
        for calendar in calendars
    )


def _span(start: datetime, end: datetime) -> str:
    midnight = "24:00" if end.date() > start.date() else f"{end:%H:%M}"
    return f"{start:%H:%M}-{midnight}"


def _used(connection: Connection) -> str:
    uses = [
        (one.calendar, " and ".join(word for word, on in (("checked", one.checked), ("written", one.written)) if on))
        for one in connection.calendars
    ]
    return ", ".join(f"{name}: {use or 'not used'}" for name, use in uses) or "-"


def _open_ends(found: Booking) -> Iterator[tuple[str, Any]]:
    if found.move:
        yield "moving to", f"{when(found.move.start)} - {when(found.move.end)}, decided by {when(found.move.until)}"
    if found.conflict:
        span = f" {when(found.conflict.start)} - {when(found.conflict.end)}" if found.conflict.start else ""
        yield "conflict", Text(f"{found.conflict.reason or 'found'}{span}, seen {when(found.conflict.at)}", style="red")


def _why(past: Past) -> str:
    return f"{past.reason or ''}{f' ({past.label})' if past.label else ''}".strip()


def _complete(why: str | None) -> Text:
    return Text(f"incomplete: {why}", style="red") if why else Text("complete", style="green")

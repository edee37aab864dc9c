"""How hosts, their connections and bookings look. Pure: from answers to tables."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from deploy.cli.answers import Booking, Connection, Host, LifeStep, Past
from deploy.cli.views import grid, pairs, state, when


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

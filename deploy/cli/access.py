"""`valet calendars`, `valet disconnect`, `valet disconnect-link`: what a host lets Valet use."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import typer

from deploy.cli import given, views
from deploy.cli.answers import ConnectLink, Ended
from deploy.cli.asking import ask, understood
from deploy.cli.base import ANYWHERE, HostArgument, YesOption, app, confirmed, screen_of
from deploy.cli.errors import Misuse
from libs.contracts.questions import HostCalendar

REVOCATION = {
    "revoked": "revoked",
    "not-offered": "nothing to revoke with, there is no such thing",
    "not-reached": "not reached, so not revoked",
    "nothing-left": "it was over already",
}
CalendarOption = typer.Option(metavar="CONNECTION[:CALENDAR]", show_default=False)


@app.command(epilog=ANYWHERE)
def calendars(
    context: typer.Context,
    host: HostArgument,
    check: Annotated[list[str] | None, CalendarOption] = None,
    ignore: Annotated[list[str] | None, CalendarOption] = None,
    write: Annotated[str | None, CalendarOption] = None,
) -> None:
    """Show which of a host's calendars are read for busy times (--check, --ignore) and which one is written to (--write).

    Without CALENDAR the connection's primary calendar is meant; another one is named by its provider's id.

    \b
    Examples:
      valet calendars dr-example
      valet calendars dr-example --write cn_abcdefghijklmnopqrstuvwxyz \\
          --check cn_abcdefghijklmnopqrstuvwxyz:c_ab12@group.calendar.google.com
    """
    name = given.checked("HOST", host)
    for text in (*(check or ()), *(ignore or ()), *([write] if write is not None else ())):
        named(text)  # before anybody is asked
    screen, answer = ask(context, "auth", "calendars", name)
    if check or ignore or write:
        wanted = chosen(understood(answer, list[HostCalendar], "auth"), check or (), ignore or (), write)
        screen, answer = ask(context, "auth", "set_calendars", name, msgspec.to_builtins(wanted))
    if screen.as_json:
        screen.document({"host": name, "calendars": answer})
    else:
        screen.show(calendar_table(understood(answer, list[HostCalendar], "auth")))


@app.command(epilog=ANYWHERE)
def disconnect(
    context: typer.Context,
    host: HostArgument,
    connection: Annotated[str | None, typer.Option(help="Only this one, cn_….", show_default=False)] = None,
    yes: YesOption = False,
) -> None:
    """Take a host's access away from Valet: it is revoked at the provider, and the tokens are destroyed.

    \b
    Example:
      valet disconnect dr-example --connection cn_abcdefghijklmnopqrstuvwxyz
    """
    name = given.checked("HOST", host)
    one = given.checked("--connection", connection) if connection is not None else None
    what = f"connection {one} of {name}" if one else f"every connection of {name}"
    confirmed(screen_of(context), f"This ends {what}: no new bookings, and entries are written no more.", yes)
    screen, answer = ask(context, "auth", "disconnect", name, one)
    if screen.as_json:
        screen.document(answer)
        return
    for line in ended(understood(answer, Ended, "auth")):
        screen.line(line, whole=True)


@app.command(epilog=ANYWHERE)
def disconnect_link(context: typer.Context, host: HostArgument) -> None:
    """Make a link at which a host takes the access back, without an operator: signed, for a short time.

    \b
    Example:
      valet disconnect-link dr-example
    """
    name = given.checked("HOST", host)
    screen, answer = ask(context, "auth", "disconnect_link", name)
    link = understood(answer, ConnectLink, "auth")
    if screen.as_json:
        screen.document({"host": name, **answer})
        return
    until = f", until {views.when(link.expires_at)}" if link.expires_at else ""
    screen.line(f"Send this link to {name}; there the access is taken back{until}:", whole=True)
    screen.line(link.url, whole=True)


def chosen(
    standing: Sequence[HostCalendar], check: Sequence[str], ignore: Sequence[str], write: str | None
) -> list[HostCalendar]:
    """The calendars as they shall be used. Raises Misuse."""
    known = {(one.connection, one.calendar): one for one in standing}
    wanted = {named(text) for text in (*check, *([write] if write else []))}
    unwanted = {named(text) for text in ignore}
    checked = {named(text) for text in check}
    if both := checked & unwanted:
        raise Misuse(f"a calendar of {min(both)[0]} shall be used and ignored", "say one of the two")
    if unknown := unwanted - known.keys():
        raise Misuse(f"that calendar of {min(unknown)[0]} is not used", "see `valet calendars HOST`")
    target = named(write) if write else None
    rows = []
    for key in [*known, *sorted(wanted - known.keys())]:
        before = known.get(key)
        reads = key in checked or ((before is None or before.checked) and key not in unwanted)
        writes = key == target if target else bool(before and before.written)
        if reads or writes:
            rows.append(HostCalendar(connection=key[0], calendar=key[1], checked=reads, written=writes))
    return rows


def named(text: str) -> tuple[str, str]:
    """`cn_…` or `cn_…:calendar`. Raises Misuse."""
    connection, _, calendar = text.strip().partition(":")
    return given.checked("--connection", connection), calendar or "primary"


def ended(found: Ended) -> list[str]:
    """What became of each connection, and what its person may still want to do by hand."""
    if not found.connections:
        return [f"{found.host} has nothing connected, so there was nothing to disconnect"]
    lines = []
    for one in found.connections:
        left = f"; the person can remove what is left there: {', '.join(one.remove_at)}" if one.remove_at else ""
        lines.append(
            f"{one.connection} is disconnected; at {one.provider}: {REVOCATION.get(one.revocation, '?')}{left}"
        )
    return [*lines, f"`valet hosts {found.host}` shows it"]


def calendar_table(found: Sequence[HostCalendar]) -> Any:
    """Calendars as lines."""
    table = views.grid("connection", "calendar", "checked", "written")
    for one in found:
        table.add_row(one.connection, one.calendar, "yes" if one.checked else "no", "yes" if one.written else "no")
    return table

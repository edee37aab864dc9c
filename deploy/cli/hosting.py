"""`valet host`, `valet calendars`, `valet disconnect` and `valet reconcile`: how a host is set up."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from deploy.cli import given, rules, views
from deploy.cli.asking import ConnectLink, Ended, understood
from deploy.cli.base import ANYWHERE, HostArgument, YesOption, app, ask, group, screen_of
from deploy.cli.dead import confirmed
from deploy.cli.errors import Misuse
from deploy.cli.screen import Screen
from libs.contracts.questions import HostCalendar, HostRules, StandingRules

host_app = group("host", "When a host may be booked: hours, buffers, notice, limits.")
REVOCATION = {
    "revoked": "revoked",
    "not-offered": "nothing to revoke with, there is no such thing",
    "not-reached": "not reached, so not revoked",
    "nothing-left": "it was over already",
}
CalendarOption = typer.Option(metavar="CONNECTION[:CALENDAR]", show_default=False)


@host_app.command("show", epilog=ANYWHERE)
def show(context: typer.Context, host: HostArgument) -> None:
    """Show a host's rules.

    \b
    Example:
      valet host show dr-example --json > rules.json
    """
    screen, answer = ask(context, "availability", "host_rules", given.checked("HOST", host))
    _show_rules(screen, answer)


@host_app.command("set", epilog=ANYWHERE)
def set_(  # noqa: PLR0913, PLR0917 - one parameter for each thing that can be typed
    context: typer.Context,
    host: HostArgument,
    zone: Annotated[str | None, typer.Option(help="The host's IANA time zone.", show_default=False)] = None,
    hours: Annotated[
        list[str] | None,
        typer.Option(help="'mon-fri 09:00-12:00,13:00-17:00'; may be repeated. All others are closed. Or: always."),
    ] = None,
    override: Annotated[
        list[str] | None, typer.Option(help="2030-12-24=closed, or =09:00-12:00; may be repeated.")
    ] = None,
    no_override: Annotated[list[str] | None, typer.Option(help="A day without its override again.")] = None,
    buffer: Annotated[str | None, typer.Option(help="Minutes kept free BEFORE/AFTER, such as 5/10.")] = None,
    notice: Annotated[str | None, typer.Option(help="How long before, at least: 30m, 4h, 2d.")] = None,
    horizon: Annotated[str | None, typer.Option(help="How far ahead, at most: 60d. Or: none.")] = None,
    step: Annotated[int | None, typer.Option(help="Minutes between possible starts.")] = None,
    durations: Annotated[str | None, typer.Option(help="Lengths on offer, such as 30,45. Or: any.")] = None,
    daily_limit: Annotated[str | None, typer.Option(help="Bookings a day, at most. Or: none.")] = None,
    file: Annotated[Path | None, typer.Option(help="Whole rules from a JSON file, instead of options.")] = None,
) -> None:
    """Set a host's rules: what is given changes, the rest stays. They hold for bookings that are made from now on.

    \b
    Examples:
      valet host set dr-example --zone America/New_York --hours "mon-fri 09:00-12:00,13:00-17:00" \\
            --hours "sat 10:00-12:00" --override 2030-12-24=closed --buffer 5/10 --notice 4h --horizon 60d \\
            --step 15 --durations 30,45 --daily-limit 8
      valet host set dr-example --file rules.json
    """
    typed = rules.Typed(
        zone, hours or (), override or (), no_override or (), buffer, notice, horizon, step, durations, daily_limit
    )
    if (file is None) == (typed == rules.Typed()):
        raise Misuse("what to set is not clear", "give either options or --file, and not both")
    name = given.checked("HOST", host)
    wanted = rules.from_file(file) if file else rules.changed(_standing(context, name).rules, typed)
    _set(context, name, wanted)


@host_app.command("clear", epilog=ANYWHERE)
def clear(context: typer.Context, host: HostArgument, yes: YesOption = False) -> None:
    """Take a host's rules away: every hour is open then, without buffers or limits.

    \b
    Example:
      valet host clear dr-example --yes
    """
    name = given.checked("HOST", host)
    confirmed(screen_of(context), f"Every hour of {name}'s is open to bookings then.", yes)
    _set(context, name, HostRules())


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


@app.command(epilog=ANYWHERE)
def reconcile(
    context: typer.Context,
    host: Annotated[
        str | None, typer.Argument(metavar="[HOST]", help="Only this host's bookings.", show_default=False)
    ] = None,
) -> None:
    """Compare bookings and calendars now, and mend what differs. It is done all the time, bit by bit; this does it at once.

    \b
    Examples:
      valet reconcile
      valet reconcile dr-example --json
    """
    name = given.checked("HOST", host) if host is not None else None
    screen, answer = ask(context, "calendar-writer", "reconcile", *([name] if name else []))
    found = understood(answer, dict[str, int], "calendar-writer")
    if screen.as_json:
        screen.document(found)
    else:
        screen.show(views.pairs((what.replace("_", " "), count) for what, count in found.items()))


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


def _standing(context: typer.Context, host: str) -> StandingRules:
    _, answer = ask(context, "availability", "host_rules", host)
    return understood(answer, StandingRules, "availability")


def _set(context: typer.Context, host: str, wanted: HostRules) -> None:
    screen, answer = ask(context, "availability", "set_host_rules", host, msgspec.to_builtins(wanted))
    _show_rules(screen, answer)


def _show_rules(screen: Screen, answer: Any) -> None:
    found = understood(answer, StandingRules, "availability")
    if screen.as_json:
        screen.document(answer)
        return
    none = "none were ever set" if found.version == 0 else f"version {found.version}"
    screen.show(views.pairs([("host", found.host), ("rules", none), *rules.in_words(found.rules)]))

"""`valet hosts` and `valet bookings`: lists, page by page, as long as they may be."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.console import Group, RenderableType
from rich.text import Text

from deploy.cli import given, records, views
from deploy.cli.answers import Entry, Host, LifeStep
from deploy.cli.asking import ask, understood
from deploy.cli.base import ANYWHERE, app, next_minute, screen_of
from deploy.cli.errors import Misuse, Trouble
from deploy.cli.provider import Provider
from deploy.cli.screen import Screen

MOST = 5000
HOSTS_AT_ONCE, BOOKINGS_AT_ONCE = 1000, 500  # what the services answer at once


class HostState(StrEnum):
    """How a host stands."""

    INVITED = "invited"
    CONNECTED = "connected"
    RECONNECT_NEEDED = "reconnect-needed"
    DISCONNECTED = "disconnected"


class BookingState(StrEnum):
    """Where a booking stands."""

    HELD = "held"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class HostPage(msgspec.Struct, frozen=True):
    """A page of hosts, and how many more there are."""

    hosts: list[Host]
    more: int


class Listed(msgspec.Struct, frozen=True):
    """One line of `valet bookings`."""

    booking: str
    host: str
    start: str
    end: str
    state: str
    version: int
    reason: str | None = None
    moving: bool = False
    calendar: Entry | None = None


class BookingPage(msgspec.Struct, frozen=True):
    """A page of bookings, and where the next one begins."""

    bookings: list[Listed]
    next: str | None = None


LimitOption = Annotated[int, typer.Option(min=1, max=MOST, help="At most so many.")]


@app.command(epilog=ANYWHERE)
def hosts(
    context: typer.Context,
    host: Annotated[
        str | None, typer.Argument(metavar="[HOST]", help="Only this host, with its history.", show_default=False)
    ] = None,
    provider: Annotated[
        Provider | None, typer.Option(help="Only who has a connection there.", show_default=False)
    ] = None,
    state: Annotated[HostState | None, typer.Option(help="Only who stands so.", show_default=False)] = None,
    reconnect_needed: Annotated[bool, typer.Option(help="Only who has to connect again.")] = False,
    limit: LimitOption = 100,
    after: Annotated[str, typer.Option(metavar="HOST", help="Only names behind this one.", show_default=False)] = "",
) -> None:
    """List the hosts: what they have connected, since when, when it last worked, which calendars are used.

    \b
    Examples:
      valet hosts
      valet hosts --provider google --reconnect-needed --json
      valet hosts --limit 1000 --after dr-example
      valet hosts dr-example
    """
    if host is not None:
        if provider or state or reconnect_needed or after:
            raise Misuse(
                "one HOST is one host", "leave out HOST, or --provider, --state, --reconnect-needed and --after"
            )
        _one_host(context, given.checked("HOST", host))
        return
    if reconnect_needed and state not in (None, HostState.RECONNECT_NEEDED):
        raise Misuse("--state and --reconnect-needed say different things", "give one of the two")
    wanted = HostState.RECONNECT_NEEDED if reconnect_needed else state
    asked = {"provider": provider and provider.value, "state": wanted and wanted.value}
    _tell_hosts(screen_of(context), *_host_pages(context, asked, limit, given.checked("HOST", after) if after else ""))


@app.command(epilog=ANYWHERE)
def bookings(  # noqa: PLR0913, PLR0917 - one parameter for each thing that can be typed
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Only of this host.", show_default=False)] = None,
    state: Annotated[BookingState | None, typer.Option(help="Only those that stand so.", show_default=False)] = None,
    begin: Annotated[str, typer.Option("--from", help="Not over by this time or day.  [default: now]")] = "",
    end: Annotated[str, typer.Option("--to", help="Begun before this time or day.  [default: no end]")] = "",
    zone: Annotated[str, typer.Option(help="The time zone of days, of times without offset, and of the list.")] = "UTC",
    unfinished: Annotated[
        bool, typer.Option("--open", help="Only what is not decided, moves, or has no entry in the calendar yet.")
    ] = False,
    limit: LimitOption = 100,
    after: Annotated[
        str, typer.Option(metavar="PLACE", help="From where the last list ended: its `next`.", show_default=False)
    ] = "",
) -> None:
    """List bookings by when they begin: id, host, time, state, what the calendar says, and why. Nothing personal.

    \b
    Examples:
      valet bookings --host dr-example
      valet bookings --open
      valet bookings --state cancelled --from 2030-05-17 --to 2030-05-20 --zone America/New_York --json
    """
    where = given.zone(zone)
    start = given.instant("--from", begin, where, day_is_enough=True) if begin else next_minute()
    stop = given.instant("--to", end, where, day_is_enough=True) if end else None
    if stop is not None:
        given.ordered("--from", start, "--to", stop)
    name = given.checked("HOST", host) if host is not None else None
    search = (name, state and state.value, start.isoformat(), stop and stop.isoformat(), unfinished)
    rows, next_ = _booking_pages(context, search, limit, after)
    screen = screen_of(context)
    if screen.as_json:
        screen.document({"bookings": rows, "next": next_})
        return
    screen.show(table(understood(rows, list[Listed], "booking"), where))
    if next_:
        screen.line(f"there may be more: --after {next_}, or --limit up to {MOST}", whole=True)


def table(found: Sequence[Listed], where: ZoneInfo) -> RenderableType:
    """Bookings as lines, by the clocks of `where`."""
    made = views.listing("booking", "host", f"start ({where.key})", "minutes", "state", "calendar")
    for one in found:
        start, end = datetime.fromisoformat(one.start), datetime.fromisoformat(one.end)
        entry = views.state(one.calendar.state, one.calendar.reason) if one.calendar else Text("-")
        shown = views.state(f"{one.state}, moving" if one.moving else one.state, one.reason)
        minutes = f"{(end - start).total_seconds() / 60:.0f}"
        made.add_row(one.booking, one.host, f"{start.astimezone(where):%Y-%m-%d %H:%M}", minutes, shown, entry)
    return made if found else Text("no such booking")


def _one_host(context: typer.Context, name: str) -> None:
    screen, answer = ask(context, "auth", "list_hosts", {"host": name})
    found = understood(answer, HostPage, "auth").hosts
    if not found:
        raise Trouble(f"nobody called {name} is known", "see `valet hosts`, or connect a calendar with `valet connect`")
    _, history = ask(context, "auth", "history", name)
    if screen.as_json:
        screen.document({**answer["hosts"][0], "history": history})
        return
    screen.show(Group(records.hosts(found), records.life(understood(history, dict[str, list[LifeStep]], "auth"))))


def _host_pages(
    context: typer.Context, asked: dict[str, str | None], limit: int, after: str
) -> tuple[list[dict[str, Any]], int]:
    rows: list[dict[str, Any]] = []
    while True:
        most = min(limit - len(rows), HOSTS_AT_ONCE)
        _, answer = ask(context, "auth", "list_hosts", {**asked, "after": after, "most": most})
        page = understood(answer, HostPage, "auth")
        rows += answer["hosts"]
        if not page.more or not page.hosts or len(rows) >= limit:
            return rows, page.more
        after = page.hosts[-1].host


def _booking_pages(
    context: typer.Context, search: tuple[Any, ...], limit: int, after: str
) -> tuple[list[dict[str, Any]], str | None]:
    rows: list[dict[str, Any]] = []
    while True:
        most = min(limit - len(rows), BOOKINGS_AT_ONCE)
        _, answer = ask(context, "booking", "bookings", *search, most, after)
        page = understood(answer, BookingPage, "booking")
        rows += answer["bookings"]
        if page.next is None or len(rows) >= limit:
            return rows, page.next
        after = page.next


def _tell_hosts(screen: Screen, rows: list[dict[str, Any]], more: int) -> None:
    last = rows[-1]["host"] if rows and more else None
    if screen.as_json:
        screen.document({"hosts": rows, "more": more, "next": last})
        return
    screen.show(records.hosts(understood(rows, list[Host], "auth")))
    if last:
        screen.line(f"and {more} more: --after {last}, or --limit up to {MOST}", whole=True)

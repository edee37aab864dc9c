"""`valet connect`, `slots`, `book` and `show`. Each turns words into a question, asks it, and shows the answer."""

from datetime import timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import typer
from rich.console import RenderableType

from deploy.cli import environment, free, given, records, views, wish
from deploy.cli.answers import Booking, ConnectLink, Slots, TeamSlots
from deploy.cli.asking import ask, understood
from deploy.cli.base import (
    ANYWHERE,
    EXIT_CODES,
    LONGEST_MINUTES,
    BookingArgument,
    HostArgument,
    app,
    next_minute,
    screen_of,
)
from deploy.cli.errors import Misuse, Trouble
from deploy.cli.screen import Screen

LONGEST = timedelta(days=62)  # what availability answers at once


@app.command(epilog=ANYWHERE)
def connect(
    context: typer.Context,
    host: HostArgument,
    provider: Annotated[
        Literal["google", "microsoft"] | None, typer.Option(help="Whose calendar; without it the host chooses.")
    ] = None,
) -> None:
    """Make a link at which a host connects a calendar: signed, for one use, for a short time.

    \b
    Examples:
      valet connect dr-example --provider google
      valet connect dr-example --json
    """
    screen, answer = ask(context, "auth", "connect_link", given.checked("HOST", host), provider)
    link = understood(answer, ConnectLink, "auth")
    if screen.as_json:
        screen.document({"host": host, **answer})
        return
    until = f"until {views.when(link.expires_at)}" if link.expires_at else "for a short time"
    screen.line(f"Send this link to {host}. It works once, {until}:", whole=True)
    screen.line(link.url, whole=True)  # on a line of its own, to be copied


@app.command(epilog=ANYWHERE)
def slots(  # noqa: PLR0913, PLR0917 - one parameter for each thing that can be typed
    context: typer.Context,
    host: Annotated[list[str], typer.Argument(metavar="HOST...", help="One host or several.", show_default=False)],
    begin: Annotated[str, typer.Option("--from", help="From this time or day.  [default: now]")] = "",
    end: Annotated[str, typer.Option("--to", help="Until this time or day.  [default: 7 days later]")] = "",
    duration: Annotated[int, typer.Option(min=1, max=1440, help="Minutes that must be free.")] = 30,
    zone: Annotated[
        str, typer.Option(help="The time zone of days, of times without offset, and of the answer.")
    ] = "UTC",
    mode: Annotated[
        Literal["all", "any"] | None,
        typer.Option(help="Of several hosts: when all are free, or any of them.  [default: all]", show_default=False),
    ] = None,
    moving: Annotated[
        str | None, typer.Option(metavar="BOOKING", help="A booking whose own time counts as free.", show_default=False)
    ] = None,
) -> None:
    """Show when a host is free, or several together, or any of several.

    \b
    Examples:
      valet slots dr-example --from 2030-05-17 --to 2030-05-20 --duration 30 --zone America/New_York
      valet slots dr-example ms-sample --mode any --duration 45
      valet slots dr-example --from 2030-05-17T09:00-04:00 --to 2030-05-17T17:00-04:00 --duration 45 --json
    """
    where = given.zone(zone)
    start = given.instant("--from", begin, where, day_is_enough=True) if begin else next_minute()
    stop = given.instant("--to", end, where, day_is_enough=True) if end else start + timedelta(days=7)
    given.ordered("--from", start, "--to", stop)
    given.near("--from", start, "--to", stop, LONGEST)
    names = [given.checked("HOST", one) for one in host]
    span = (start.isoformat(), stop.isoformat(), duration)
    if len(names) == 1 and mode is None:
        _slots_of_one(context, names[0], span, where, moving)
        return
    if moving is not None:
        raise Misuse("--moving is for one host", "leave it out, or give one HOST")
    screen, answer = ask(context, "availability", "team_slots", names, mode or "all", *span)
    found = understood(answer, TeamSlots, "availability")
    _show(screen, answer, free.team_slots(found, where))


@app.command(epilog=f"{ANYWHERE}\n\n{EXIT_CODES}")
def book(  # noqa: PLR0913, PLR0917 - one parameter for each thing that can be typed
    context: typer.Context,
    host: HostArgument,
    start: Annotated[str, typer.Argument(metavar="START", help="A time; without offset, by the clocks of --zone.")],
    name: Annotated[str, typer.Option(help="The invitee's name.", show_default=False)],
    email: Annotated[str, typer.Option(help="The invitee's e-mail address.", show_default=False)],
    zone: Annotated[str, typer.Option(help="The invitee's time zone, such as America/New_York.", show_default=False)],
    end: Annotated[str | None, typer.Argument(metavar="END", help="A time; or give --minutes.")] = None,
    minutes: Annotated[
        int | None, typer.Option(min=1, max=LONGEST_MINUTES, help="How long, instead of END.", show_default=False)
    ] = None,
    field: Annotated[
        list[str] | None, typer.Option(metavar="QUESTION=ANSWER", help="An answer of the invitee's; may be repeated.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="What the entry is called.", show_default=False)] = None,
    id: Annotated[str | None, typer.Option(help="The request's id; the same one is never booked twice.")] = None,
    source: Annotated[str, typer.Option(help="Who asks, as a URI.")] = wish.SOURCE,
    wait: Annotated[float, typer.Option(min=0, max=wish.LONGEST_WAIT, help="Seconds to wait for the outcome.")] = 180,
) -> None:
    """Ask for a booking as any other service does, by an event, and watch its journey.

    What is personal is sent, and never printed.

    \b
    Examples:
      valet book dr-example 2030-05-17T09:30 --minutes 30 --zone America/New_York \\
            --name "Ada Example" --email ada@example.com --field "phone=555-0100"
      valet book dr-example 2030-05-17T09:30-04:00 2030-05-17T10:00-04:00 --zone America/New_York \\
            --name "Ada Example" --email ada@example.com --wait 30 --json
    """
    wanted = wish.understood(wish.Typed(host, start, end, minutes, name, email, zone, field or (), title, id, source))
    raise typer.Exit(wish.book(wanted, environment.settings("amqp_url"), screen_of(context), wait))


@app.command(epilog=ANYWHERE)
def show(
    context: typer.Context,
    booking: BookingArgument,
) -> None:
    """Show a booking's state and history, a move that is not decided, a conflict that was found; nothing personal.

    \b
    Example:
      valet show bk_abcdefghijklmnopqrstuvwxyz
    """
    screen, answer = ask(context, "booking", "journeys", [given.checked("BOOKING", booking)])
    found = understood(answer, dict[str, Booking | None], "booking").get(booking)
    if found is None:
        raise Trouble(f"there is no booking {booking}", "check the id; `valet book` and the events give it")
    if screen.as_json:
        screen.document(answer[booking])
    else:
        screen.show(records.booking(found))


def _slots_of_one(
    context: typer.Context, name: str, span: tuple[str, str, int], where: ZoneInfo, moving: str | None
) -> None:
    more = (given.checked("BOOKING", moving),) if moving is not None else ()
    screen, answer = ask(context, "availability", "slots", name, *span, *more)
    found = understood(answer, Slots, "availability")
    if found.why:
        do = free.WHY.get(found.why, "run `valet hosts`")
        raise Trouble(f"no free times can be told for {name}: {found.why}", do)
    _show(screen, answer, free.slots(found, where))


def _show(screen: Screen, document: Any, shown: RenderableType) -> None:
    if screen.as_json:
        screen.document(document)
    else:
        screen.show(shown)

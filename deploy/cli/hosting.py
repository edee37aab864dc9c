"""`valet host`: when a host may be booked; `valet reconcile`: whether the calendars say what the bookings say."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from deploy.cli import given, rules, views
from deploy.cli.asking import ask, understood
from deploy.cli.base import ANYWHERE, HostArgument, YesOption, app, confirmed, group, screen_of
from deploy.cli.errors import Misuse
from deploy.cli.screen import Screen
from libs.contracts.questions import HostRules, StandingRules

ROUND = 100  # entries that calendar-writer looks at in one round
host_app = group("host", "When a host may be booked: hours, buffers, notice, limits.")


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
def reconcile(
    context: typer.Context,
    host: Annotated[
        str | None, typer.Argument(metavar="[HOST]", help="Only this host's bookings.", show_default=False)
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Round after round, until every entry of a coming booking was looked at.")
    ] = False,
) -> None:
    """Compare bookings and calendars now, and mend what differs. It is done all the time, bit by bit; this does it at once.

    A round looks at a hundred entries, those that nobody looked at for longest. Rounds use up the providers' quota.

    \b
    Examples:
      valet reconcile
      valet reconcile --all
      valet reconcile dr-example --json
    """
    name = given.checked("HOST", host) if host is not None else None
    screen = screen_of(context)
    found = _rounds(context, name, _written(context) if everything else 0)
    if screen.as_json:
        screen.document(found)
        return
    screen.show(views.pairs((what.replace("_", " "), count) for what, count in found.items()))
    if not everything and found.get("looked", 0) >= ROUND:
        screen.line("there may be more to look at: --all")


def _rounds(context: typer.Context, host: str | None, entries: int) -> dict[str, int]:
    """The sums of as many rounds as it takes to look at so many entries; of one at least."""
    total: Counter[str] = Counter()
    with screen_of(context).progress("comparing entries") as show:
        while True:
            _, answer = ask(context, "calendar-writer", "reconcile", *([host] if host else []))
            found = understood(answer, dict[str, int], "calendar-writer")
            total.update(found)
            seen = total["looked"] + total["unreadable"]
            show(min(seen, entries), entries)
            if seen >= entries or found.get("looked", 0) + found.get("unreadable", 0) < ROUND:
                return {name: total[name] for name in found}


def _written(context: typer.Context) -> int:
    """How many entries stand in calendars, those of past bookings too."""
    _, answer = ask(context, "calendar-writer", "effects")
    return int(answer.get("written", {}).get("count", 0))


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

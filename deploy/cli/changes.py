"""`valet cancel` and `valet move`: a change is asked for by an event, as any other service does, and watched."""

import secrets
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from deploy.cli import given
from deploy.cli.answers import Booking
from deploy.cli.asking import Questions, ask, bus_settings, understood
from deploy.cli.base import ANYWHERE, EXIT_CODES, LONGEST_MINUTES, BookingArgument, app, screen_of
from deploy.cli.change import KINDS, Asked, Change
from deploy.cli.errors import ExitCode, Trouble
from deploy.cli.follow import Desk, Ear
from deploy.cli.screen import Screen
from deploy.cli.wish import ASK_EVERY, ENTRY, LONGEST_WAIT, SOURCE, shown
from libs.config.settings import Settings
from libs.contracts.events import CancellationRequested, RequestRef, RescheduleRequested

WaitOption = Annotated[float, typer.Option(min=0, max=LONGEST_WAIT, help="Seconds to wait for the outcome.")]
IdOption = Annotated[str | None, typer.Option(help="The request's id; the same one is never done twice.")]
SourceOption = Annotated[str, typer.Option(help="Who asks, as a URI. Valet's operators may change any booking.")]
WORDS = {
    "unknown-booking": "check the id and --source: only who asked for a booking, or an operator, may change it",
    "booking-over": "it is cancelled or over; see `valet show`",
    "booking-not-confirmed": "wait until it is decided; see `valet show`",
    "change-pending": "it is being moved already; see `valet show`",
}


@dataclass(frozen=True, slots=True)
class Order:
    """A change to ask for, with its identity, and how long to watch it (seconds)."""

    data: Asked
    request: RequestRef
    wait: float


@app.command(epilog=f"{ANYWHERE}\n\n{EXIT_CODES}")
def cancel(
    context: typer.Context,
    booking: BookingArgument,
    label: Annotated[
        str | None, typer.Option(help="Why, as a label for the history; no free text.", show_default=False)
    ] = None,
    id: IdOption = None,
    source: SourceOption = SOURCE,
    wait: WaitOption = 180,
) -> None:
    """Cancel a booking, and watch until its entry is gone from the calendar.

    \b
    Examples:
      valet cancel bk_abcdefghijklmnopqrstuvwxyz
      valet cancel bk_abcdefghijklmnopqrstuvwxyz --label host-is-ill --json
    """
    name = given.checked("BOOKING", booking)
    why = given.checked("--label", label) if label is not None else None
    data = CancellationRequested(booking=name, reason=why)
    raise typer.Exit(_run(Order(data, _identity(source, id), wait), bus_settings(), screen_of(context)))


@app.command(epilog=f"{ANYWHERE}\n\n{EXIT_CODES}")
def move(  # noqa: PLR0913, PLR0917 - one parameter for each thing that can be typed
    context: typer.Context,
    booking: BookingArgument,
    start: Annotated[str, typer.Argument(metavar="START", help="A time; without offset, by the clocks of --zone.")],
    minutes: Annotated[
        int | None, typer.Option(min=1, max=LONGEST_MINUTES, help="How long.  [default: as long as it is]")
    ] = None,
    zone: Annotated[str, typer.Option(help="The time zone of a time without offset.")] = "UTC",
    id: IdOption = None,
    source: SourceOption = SOURCE,
    wait: WaitOption = 180,
) -> None:
    """Move a booking to another time, and watch until its entry stands there. Until that is sure, it keeps its time.

    \b
    Examples:
      valet move bk_abcdefghijklmnopqrstuvwxyz 2030-05-17T11:00 --zone America/New_York
      valet move bk_abcdefghijklmnopqrstuvwxyz 2030-05-17T11:00-04:00 --minutes 45 --json
    """
    name = given.checked("BOOKING", booking)
    begin = given.instant("START", start, given.zone(zone))
    length = timedelta(minutes=minutes) if minutes else _length(context, name)
    data = RescheduleRequested(booking=name, start=begin, end=begin + length)
    raise typer.Exit(_run(Order(data, _identity(source, id), wait), bus_settings(), screen_of(context)))


def conclusion(change: Change) -> list[str]:
    """The outcome in words, and how to go on."""
    booking = change.data.booking
    look = f"look again with `valet show {booking}`"
    if change.outcome is None:
        again = f"--source {change.request.source} --id {change.request.id}"
        return [
            "no outcome within the time of --wait; the request stands and is decided when the services can",
            f"ask again with the same command and {again}: it is never done twice",
        ]
    if change.outcome == "refused":
        return [f"refused: {change.reason}; the booking stays as it was", WORDS.get(change.reason or "", look)]
    if change.in_calendar:
        return [f"{change.outcome}, and the calendar says so", f"booking {booking}"]
    if change.over:
        return [f"{change.outcome}, but the calendar could not be changed: {change.reason}", look]
    return [f"{change.outcome}; the calendar does not say so yet", look]


def exit_code(change: Change) -> ExitCode:
    """0 done and in the calendar, 3 refused, 4 not known in time, 1 done but the calendar cannot be changed."""
    if change.outcome == "refused":
        return ExitCode.REJECTED
    if change.outcome is None or not change.over:
        return ExitCode.NO_OUTCOME
    return ExitCode.OK if change.in_calendar else ExitCode.TROUBLE


def document(change: Change) -> dict[str, Any]:
    """The change for scripts."""
    return {
        "booking": change.data.booking,
        "outcome": change.outcome,
        "reason": change.reason,
        "in_calendar": change.in_calendar,
        "request": {"source": change.request.source, "id": change.request.id},
        "steps": [{"step": one.name, "ms": one.ms, "reason": one.reason} for one in change.steps],
    }


def learn_entry(change: Change, answer: Any, at: float) -> None:
    """Take from `booking.journeys` what the entry is now: a repeated request causes no second event of the calendar's."""
    found = understood(answer, dict[str, Booking | None], "booking").get(change.data.booking)
    if found is None or change.outcome not in ("cancelled", "moved"):
        return
    entry = found.calendar
    if change.outcome == "cancelled" and entry is None:
        change.learn("no-entry", at)
    elif change.outcome == "cancelled" and entry and entry.state == "removed":
        change.learn("removed", at)
    elif entry and entry.state in ENTRY and (entry.state == "failed" or _since_the_move(found)):
        change.learn(ENTRY[entry.state], at, entry.reason)


def _since_the_move(found: Booking) -> bool:
    """Whether what is known of the entry is younger than the booking's last change of time."""
    moves = [datetime.fromisoformat(past.at) for past in found.history if past.start]
    noted = found.calendar.at if found.calendar else None
    return bool(moves) and noted is not None and datetime.fromisoformat(noted) >= max(moves)


def _run(order: Order, settings: Settings, screen: Screen) -> int:
    desk, questions = Desk(settings), Questions(settings)
    try:
        with Ear(settings, KINDS) as ear:
            change = Change(order.request, order.data, secrets.token_hex(16), time.monotonic())
            with shown(change, screen) as changed:
                desk.send(change.data, change.request, change.trace)
                changed()
                _follow(change, ear, questions, time.monotonic() + order.wait, changed)
    finally:
        desk.close()
        questions.close()
    _conclude(change, screen)
    return int(exit_code(change))


def _follow(change: Change, ear: Ear, questions: Questions, deadline: float, changed: Callable[[], None]) -> None:
    while not change.over and (left := deadline - time.monotonic()) > 0:
        for envelope in ear.events(min(left, ASK_EVERY)):
            if change.hear(envelope, time.monotonic()):
                changed()
            if change.over:
                return
        with suppress(Trouble):  # the event may still come
            learn_entry(change, questions("booking", "journeys", [change.data.booking]), time.monotonic())
        changed()


def _conclude(change: Change, screen: Screen) -> None:
    if screen.as_json:
        screen.document(document(change))
        return
    for line in conclusion(change):
        screen.line(line)


def _identity(source: str, id: str | None) -> RequestRef:
    own = given.checked("--id", id) if id is not None else str(uuid.uuid4())
    return RequestRef(source=given.checked("--source", source), id=own)


def _length(context: typer.Context, booking: str) -> timedelta:
    _, answer = ask(context, "booking", "journeys", [booking])
    found = understood(answer, dict[str, Booking | None], "booking").get(booking)
    if found is None or found.start is None or found.end is None:
        raise Trouble(f"there is no booking {booking} with a time", "check the id; `valet book` and the events give it")
    return datetime.fromisoformat(found.end) - datetime.fromisoformat(found.start)

"""`valet book`: from what was typed to a request, and from its journey to an exit code."""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rich.live import Live

from deploy.cli import given, steps
from deploy.cli.answers import Booking
from deploy.cli.asking import Questions
from deploy.cli.asking import understood as understood_answer
from deploy.cli.errors import ExitCode, Misuse, Trouble
from deploy.cli.follow import Desk, Ear, journey_of
from deploy.cli.journey import Journey
from deploy.cli.screen import Screen
from libs.config.settings import Settings
from libs.contracts.events import OPERATOR, BookingRequested, Invitee

SOURCE = OPERATOR
LONGEST_WAIT = 86_400.0  # seconds
ASK_EVERY = 2.0  # seconds
ENTRY = {"written": "written", "failed": "write-failed"}
"""What `booking.journeys` says of an entry, as a step of the journey."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A request to send, with its identity."""

    data: BookingRequested
    source: str
    id: str


@dataclass(frozen=True, slots=True)
class Typed:
    """What the command line says, as it was typed. Personal: never printed."""

    host: str
    start: str
    end: str | None
    minutes: int | None
    name: str
    email: str
    zone: str
    fields: Sequence[str] = ()
    title: str | None = None
    id: str | None = None
    source: str = SOURCE

    def __repr__(self) -> str:
        return f"Typed(host={self.host!r}, …)"


def understood(typed: Typed) -> Wish:
    """The request. Raises Misuse that says what is wrong; what only the service can judge is left to it."""
    where = given.zone(typed.zone)
    start = given.instant("START", typed.start, where)
    if (typed.end is None) == (typed.minutes is None):
        raise Misuse("the end of the booking is not clear", "give either END or --minutes, and not both")
    end = start + timedelta(minutes=typed.minutes or 0)
    if typed.end is not None:
        end = given.instant("END", typed.end, where)
        given.ordered("START", start, "END", end)
    data = BookingRequested(
        host=given.checked("HOST", typed.host),
        start=start,
        end=end,
        invitee=Invitee(
            name=given.checked("--name", typed.name),
            email=given.address(typed.email),
            time_zone=where.key,
            fields=given.fields(typed.fields),
        ),
        title=given.checked("--title", typed.title) if typed.title is not None else None,
    )
    id = given.checked("--id", typed.id) if typed.id is not None else str(uuid.uuid4())
    return Wish(data, given.checked("--source", typed.source), id)


def book(wish: Wish, settings: Settings, screen: Screen, wait: float) -> int:
    """Send the request, show its journey for up to `wait` seconds; the exit code. Raises Trouble."""
    journey = journey_of(wish.data, wish.source, wish.id)
    desk, questions = Desk(settings), Questions(settings)
    try:
        with Ear(settings) as ear, shown(journey, screen) as changed:
            desk.ask(journey, wish.data)
            screen.note(f"sent as {wish.id} from {wish.source}; the broker has it")
            changed()
            _follow(journey, ear, questions, time.monotonic() + wait, changed)
    finally:
        desk.close()
        questions.close()
    return conclude(journey, screen)


def learn_entry(journey: Journey, answer: Any, at: float) -> None:
    """Take from the answer to `booking.journeys` whether the entry stands: a repeated request causes no second event."""
    found = understood_answer(answer, dict[str, Booking | None], "booking").get(journey.booking or "")
    state = found.calendar.state if found and found.calendar else None
    if found and found.calendar and state in ENTRY:
        journey.learn(ENTRY[state], at, found.calendar.reason)


def conclude(journey: Journey, screen: Screen) -> int:
    """Say the outcome; the exit code."""
    if screen.as_json:
        screen.document(steps.journey_document(journey))
    else:
        for line in conclusion(journey):
            screen.line(line)
    return int(exit_code(journey))


def exit_code(journey: Journey) -> ExitCode:
    """0 confirmed and written, 3 rejected, 4 not known in time, 1 confirmed but the entry cannot be written."""
    if journey.outcome == "rejected":
        return ExitCode.REJECTED
    if journey.outcome == "confirmed" and journey.over:
        return ExitCode.OK if journey.step("written") else ExitCode.TROUBLE
    return ExitCode.NO_OUTCOME


def conclusion(journey: Journey) -> list[str]:
    """The outcome in words, and how to go on."""
    known = journey.booking
    if journey.outcome is None:
        again = f"--source {journey.request.source} --id {journey.request.id}"
        held = f"held as {known}, not decided" if known else "no word of it"
        return [
            f"{held} within the time of --wait; the request stands and is decided when the services can",
            f"ask again with the same command and {again}: it is never booked twice",
        ]
    if journey.outcome == "rejected":
        return [f"rejected: {journey.reason}", f"booking {known}"]
    if journey.step("written"):
        return ["confirmed, and written into the calendar", f"booking {known}"]
    if journey.over:
        return [f"confirmed, but the entry could not be written: {journey.reason}", f"booking {known}"]
    return ["confirmed; the entry is not yet in the calendar", f"look again with `valet show {known}`"]


def _follow(journey: Journey, ear: Ear, questions: Questions, deadline: float, changed: Callable[[], None]) -> None:
    while not journey.over and (left := deadline - time.monotonic()) > 0:
        ear.follow([journey], min(left, ASK_EVERY), lambda: journey.over, changed)
        if journey.outcome == "confirmed" and not journey.over:
            with suppress(Trouble):  # the event may still come
                learn_entry(journey, questions("booking", "journeys", [journey.booking]), time.monotonic())
            changed()


@contextmanager
def shown(journey: steps.Followed, screen: Screen) -> Iterator[Callable[[], None]]:
    """Show the journey: redrawn on a terminal, step by step elsewhere, not at all with --json. Gives what to call on news."""
    if screen.live:
        with Live(steps.journey(journey), console=screen.out, refresh_per_second=10) as live:
            yield lambda: live.update(steps.journey(journey))
        return
    told = 0

    def tell() -> None:
        nonlocal told
        for step in journey.steps[told:]:
            screen.line(steps.step(step))
        told = len(journey.steps)

    yield (lambda: None) if screen.as_json else tell

"""What the providers saw: the entries that stand, and the requests that came."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deploy.cli import views
from deploy.cli.screen import Screen
from deploy.demo.bookings import Row
from deploy.demo.people import HOSTS
from deploy.demo.setup import Stage
from deploy.demo.times import Block

READS = frozenset({"google.events.get", "google.events.list", "microsoft.calendarView", "microsoft.events.list"}) | {
    "microsoft.events.get"
}
ALWAYS = frozenset({"microsoft.getSchedule"})  # answers with subjects, whatever is asked
BODIES = frozenset({"google.freeBusy"})  # narrowed by its body, and never answers with more than times
SELECTORS = ("fields", "$select")
PERSONAL = ("summary", "subject", "description", "body", "attendees", "location", "organizer", "*")

Request = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """How many entries of Valet's stand in a calendar at the time of a confirmed booking: it must be one."""

    row: Row
    count: int


def standing(stage: Stage, rows: Sequence[Row]) -> list[Standing]:
    """For each booking that was confirmed (a repeated request is no booking of its own) what stands in the calendar."""
    entries = {who.host: _written(stage, who.provider, who.account) for who in HOSTS}
    return [
        Standing(row, sum(span == (row.data.start, row.data.end) for span in entries[row.who.host]))
        for row in rows
        if row.expected == "confirmed" and row.same_as is None
    ]


def strays(stage: Stage, rows: Sequence[Row], block: Block) -> int:
    """Entries that Valet wrote into the block and that belong to no confirmed booking."""
    wanted = {(row.who.host, row.data.start, row.data.end) for row in rows if row.expected == "confirmed"}
    return sum(
        block.start <= start < block.end and (who.host, start, end) not in wanted
        for who in HOSTS
        for start, end in _written(stage, who.provider, who.account)
    )


def last_request(stage: Stage) -> int:
    """The number of the last request so far."""
    return max((int(entry["number"]) for entry in stage.sandbox.requests()), default=0)


def asked(requests: Sequence[Request]) -> Counter[tuple[str, str]]:
    """How often each operation was asked for, by the fields it asked for."""
    return Counter((str(request["operation"]), shown_fields(request)) for request in requests)


def selected(request: Request) -> str:
    """The fields that the answer was narrowed to; empty where the request has no such choice."""
    return "; ".join(f"{name}={','.join(request['query'][name])}" for name in SELECTORS if name in request["query"])


def shown_fields(request: Request) -> str:
    """What to show of a question for busy times: the fields that it selected, or, at Google, the fields that it names."""
    return selected(request) or (f"body: {', '.join(request['fields'])}" if request["operation"] in BODIES else "")


def reads_titles(request: Request) -> bool:
    """Whether the answer to this question had room for what is in people's entries beyond their times."""
    operation = str(request["operation"])
    if operation in ALWAYS:
        return True
    if operation not in READS:
        return False
    chosen = selected(request)
    return not chosen or any(word in chosen for word in PERSONAL)


def show(stage: Stage, rows: Sequence[Row], block: Block, since: int, screen: Screen) -> bool:
    """Show it all; whether it is as it must be."""
    good = _show_standing(stage, rows, block, screen)
    requests = stage.sandbox.requests(since=since)
    screen.line()
    screen.line("what the providers were asked:")
    for (operation, fields), count in sorted(asked(requests).items()):
        screen.line(f"  {count:>3} x {operation}{f'  ({fields})' if fields else ''}")
    readers = [request for request in requests if reads_titles(request)]
    word = "none" if not readers else f"{len(readers)}: {', '.join(sorted({str(r['operation']) for r in readers}))}"
    screen.line(screen.mark(not readers).append(f" titles read: {word}", "bold"))
    return good and not readers


def _show_standing(stage: Stage, rows: Sequence[Row], block: Block, screen: Screen) -> bool:
    found, stray = standing(stage, rows), strays(stage, rows, block)
    screen.line("what stands in the calendars:")
    for one in found:
        times = f"{views.when(one.row.data.start)} to {one.row.data.end:%H:%M}"
        word = "entry" if one.count == 1 else "entries"
        text = f" {one.count} {word} for {one.row.who.host} ({one.row.who.provider}), {times}"
        screen.line(screen.mark(one.count == 1).append(text, "default"))
    screen.line(screen.mark(stray == 0).append(f" {stray} entries that nobody booked", "default"))
    return stray == 0 and all(one.count == 1 for one in found)


def _written(stage: Stage, provider: Any, account: str) -> list[tuple[datetime, datetime]]:
    return [
        (datetime.fromisoformat(event["start"]), datetime.fromisoformat(event["end"]))
        for event in stage.sandbox.events(provider, account)
        if event["origin"] == "api" and not event["cancelled"]
    ]

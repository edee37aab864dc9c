"""What the providers were asked."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.cli.screen import Screen
from deploy.demo.setup import Stage

READS = frozenset({"google.events.get", "google.events.list", "microsoft.calendarView", "microsoft.events.list"}) | {
    "microsoft.events.get"
}
ALWAYS = frozenset({"microsoft.getSchedule"})  # answers with subjects, whatever is asked
BODIES = frozenset({"google.freeBusy"})  # narrowed by its body, and never answers with more than times
SELECTORS = ("fields", "$select")
PERSONAL = ("summary", "subject", "description", "body", "attendees", "location", "organizer", "*")

Request = Mapping[str, Any]


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


def show(stage: Stage, since: int, screen: Screen) -> bool:
    """Show what they were asked after request number `since`; whether no question had room for a title."""
    requests = stage.sandbox.requests(since=since)
    screen.line()
    screen.line("what the providers were asked:")
    for (operation, fields), count in sorted(asked(requests).items()):
        screen.line(f"  {count:>3} x {operation}{f'  ({fields})' if fields else ''}")
    readers = [request for request in requests if reads_titles(request)]
    word = "none" if not readers else f"{len(readers)}: {', '.join(sorted({str(r['operation']) for r in readers}))}"
    screen.line(screen.mark(not readers).append(f" titles read: {word}", "bold"))
    return not readers

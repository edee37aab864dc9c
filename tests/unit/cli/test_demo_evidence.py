"""What the demonstration shows of the providers' side."""

from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.demo import bookings, evidence, times

BLOCK = times.Block(datetime(2030, 5, 20, 13, 0, tzinfo=UTC))


def request(operation: str, *body: str, chosen: str = "") -> dict[str, Any]:
    """As the sandbox records it: names of body fields, and `$select` or `fields`, whichever the provider has."""
    selector = "fields" if operation.startswith("google") else "$select"
    return {"operation": operation, "fields": list(body), "query": {selector: [chosen]} if chosen else {}}


@pytest.mark.parametrize(
    ("asked", "reads"),
    [
        (request("google.freeBusy", "items", "timeMin"), False),
        (request("google.events.insert", "summary"), False),
        (request("google.events.get", chosen="id,status,start"), False),
        (request("google.events.get"), True),
        (request("google.events.list", chosen="items(summary)"), True),
        (request("microsoft.calendarView", chosen="start,end,showAs"), False),
        (request("microsoft.calendarView", chosen="start,subject"), True),
        (request("microsoft.calendarView"), True),
        (request("microsoft.events.list", chosen="id,start,end"), False),
        (request("microsoft.getSchedule"), True),
    ],
)
def test_questions_that_could_be_answered_with_titles_are_known(asked: dict[str, Any], reads: bool) -> None:
    assert evidence.reads_titles(asked) is reads


def test_what_was_asked_is_counted_by_operation_and_fields() -> None:
    view = request("microsoft.calendarView", chosen="start,end,showAs")
    found = evidence.asked([view, view, request("google.freeBusy", "items", "timeMin")])
    assert found == {
        ("microsoft.calendarView", "$select=start,end,showAs"): 2,
        ("google.freeBusy", "body: items, timeMin"): 1,
    }


class Sandbox:
    """Plays the sandbox's admin API."""

    def __init__(self, **entries: list[tuple[datetime, datetime, str, bool]]) -> None:
        self._entries = entries

    def events(self, provider: str, account: str) -> list[dict[str, Any]]:
        return [
            {"start": start.isoformat(), "end": end.isoformat(), "origin": origin, "cancelled": cancelled}
            for start, end, origin, cancelled in self._entries.get(provider, [])
        ]


class Stage:
    """A stage with nothing but a sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox


def test_exactly_one_entry_must_stand_for_each_confirmed_booking() -> None:
    # given an entry twice at Google, and at Microsoft one that was cancelled, one of the person's own, and a stray one
    rows = bookings.first(BLOCK)
    one, two = ((row.data.start, row.data.end) for row in rows[:2])
    stray = (BLOCK.at(90), BLOCK.at(95))
    sandbox = Sandbox(
        google=[(*one, "api", False), (*one, "api", False)],
        microsoft=[(*two, "api", True), (*two, "outside", False), (*stray, "api", False)],
    )
    stage: Any = Stage(sandbox)
    # then the counts say so
    assert [found.count for found in evidence.standing(stage, rows)] == [2, 0]
    assert evidence.strays(stage, rows, BLOCK) == 1

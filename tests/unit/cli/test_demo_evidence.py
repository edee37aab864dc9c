"""What the demonstration shows of the questions to the providers."""

from typing import Any

import pytest

from deploy.demo import evidence


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

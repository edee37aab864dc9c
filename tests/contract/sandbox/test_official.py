"""The sandbox against the providers' own descriptions: every field, type, path and parameter."""

import re
from typing import Any

import pytest
import requests
from openapi_core import OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse

from deploy.sandbox.client import SandboxAdmin
from deploy.sandbox.google import access as google_access
from deploy.sandbox.google import routes as google_routes
from deploy.sandbox.google.resource import WRITABLE as GOOGLE_WRITABLE
from deploy.sandbox.microsoft import routes as microsoft_routes
from deploy.sandbox.microsoft.resource import WRITABLE as GRAPH_WRITABLE
from tests.contract.sandbox.clients import Google, Microsoft
from tests.contract.sandbox.conftest import ADA
from tests.contract.sandbox.official import (
    BY_HAND,
    GOOGLE,
    PATHS_BY_HAND,
    google_faults,
    google_method,
    graph_description,
    graph_faults,
    graph_paths,
)

ID = "0ff1c1a100"
PROPERTY = "String {66f5a359-4659-4830-9070-00047ec6ac6e} Name Booking"
METHODS = {
    "google.events.insert": ("events", "insert"),
    "google.events.get": ("events", "get"),
    "google.events.patch": ("events", "patch"),
    "google.events.delete": ("events", "delete"),
    "google.events.list": ("events", "list"),
    "google.freeBusy": ("freebusy", "query"),
}


@pytest.fixture(params=["official", "by hand"])
def description(request: pytest.FixtureRequest) -> dict[str, Any] | None:
    """Microsoft's description; and None, which stands for the list by hand, the only judge where the file is absent."""
    return graph_description() if request.param == "official" else None


@pytest.mark.parametrize("operation", sorted(METHODS))
def test_googles_paths_methods_and_scopes_are_the_official_ones(operation: str) -> None:
    # given an operation of the sandbox and Google's method
    route = next(row for row in google_routes.TABLE if row[0] == operation)
    method = google_method(*METHODS[operation])
    # when the paths are compared, parameters aside
    played = re.sub(r"\{\w+\}", "{}", route[2].removeprefix(google_routes.API + "/"))
    # then they are the same, and every scope that opens the door is one Google names
    assert (played, route[1]) == (re.sub(r"\{\w+\}", "{}", method["path"]), method["httpMethod"])
    known = set(GOOGLE["auth"]["oauth2"]["scopes"])
    assert google_access.NEEDED[operation] <= known & set(method["scopes"])


def _google_exchanges(google: Google) -> list[tuple[str, Any, dict[str, str], requests.Response]]:
    whole = {
        "id": ID,
        "summary": "Appointment",
        "description": "Room 4",
        "location": "Here",
        "attendees": [{"email": "guest@example.com", "displayName": "Grace Example", "responseStatus": "needsAction"}],
        "extendedProperties": {"private": {"booking": "b-1"}},
        "reminders": {"useDefault": False},
        "visibility": "private",
        "transparency": "opaque",
        "start": {"dateTime": "2026-06-01T09:00:00Z", "timeZone": "UTC"},
        "end": {"dateTime": "2026-06-01T10:00:00Z", "timeZone": "UTC"},
    }
    window = {"timeMin": "2026-06-01T00:00:00Z", "timeMax": "2026-06-02T00:00:00Z", "timeZone": "UTC"}
    busy = {**window, "items": [{"id": "primary"}, {"id": "nobody@example.com"}]}
    one, wanted = f"/calendars/primary/events/{ID}", {"privateExtendedProperty": "booking=b-1", "showDeleted": "true"}
    calls: list[tuple[str, str, str, Any, dict[str, str]]] = [
        ("google.events.insert", "POST", "/calendars/primary/events", whole, {"sendUpdates": "none"}),
        ("google.events.patch", "PATCH", one, {"summary": "Moved"}, {"sendUpdates": "all"}),
        ("google.events.get", "GET", one, None, {}),
        ("google.events.list", "GET", "/calendars/primary/events", None, {**wanted, "maxResults": "10"}),
        ("google.freeBusy", "POST", "/freeBusy", busy, {}),
        ("google.events.delete", "DELETE", one, None, {"sendUpdates": "none"}),
        ("google.events.get", "GET", one, None, {}),
    ]
    return [
        (name, body, query, google.call(method, path, body, params=query)) for name, method, path, body, query in calls
    ]


def test_every_google_answer_fits_googles_description(google: Google, admin: SandboxAdmin) -> None:
    # given outside events, and one exchange of every kind
    admin.add_event(
        "google", ADA, "2026-06-01", "2026-06-02", all_day=True, title="Holiday", attendees=["guest@example.com"]
    )
    for operation, body, query, answer in _google_exchanges(google):
        method = google_method(*METHODS[operation])
        # when they are held against the method's description
        assert answer.ok, answer.text
        # then its parameters exist, and every field of the request and the answer is known and of its type
        assert set(query) <= {*method["parameters"], *GOOGLE["parameters"]} if query else True
        assert body is None or google_faults(method["request"], body) == []
        assert not answer.content or google_faults(method["response"], answer.json()) == []
    for event in admin.events("google", ADA):
        assert google_faults({"$ref": "Event"}, event["raw"]) == []


def test_the_judge_of_google_answers_does_object() -> None:
    # given wrong answers, when they are judged, then each is found wrong: otherwise the tests above could not fail
    assert google_faults({"$ref": "Event"}, {"colour": "red"})
    assert google_faults({"$ref": "Event"}, {"start": {"dateTime": 7}})
    assert google_faults({"$ref": "FreeBusyResponse"}, {"calendars": {"a": {"busy": [{"from": "x"}]}}})
    assert google_faults({"$ref": "Event"}, {"sequence": True})


def test_what_may_be_written_are_fields_of_the_official_resources(description: dict[str, Any] | None) -> None:
    # given the writable fields the sandbox takes, when they are looked up, then both providers have them
    assert set(GOOGLE_WRITABLE) <= set(GOOGLE["schemas"]["Event"]["properties"])
    event = (
        description["components"]["schemas"]["microsoft.graph.event"]["properties"]
        if description
        else BY_HAND["microsoft.graph.event"]
    )
    assert set(GRAPH_WRITABLE) <= set(event)


def test_graphs_paths_and_methods_are_the_official_ones(description: dict[str, Any] | None) -> None:
    # given the sandbox's routes below /graph/v1.0
    played = set()
    for _, methods, path, _ in microsoft_routes.TABLE:
        if path.startswith("/graph/v1.0"):
            shown = (
                path.removeprefix("/graph/v1.0").replace("{calendar}", "{calendar-id}").replace("{event}", "{event-id}")
            )
            played |= {(shown, method.lower()) for method in methods.split()}
    # when they are looked up, then Graph has them all
    assert played <= graph_paths(description)
    assert graph_paths(description) >= PATHS_BY_HAND
    assert played == PATHS_BY_HAND


def _graph_answers(microsoft: Microsoft) -> list[tuple[str, Any]]:
    stamped: dict[str, Any] = {"singleValueExtendedProperties": [{"id": PROPERTY, "value": "b-1"}]}
    attendees = [{"type": "required", "emailAddress": {"name": "Grace Example", "address": "guest@example.com"}}]
    made = microsoft.create(subject="Appointment", transactionId="t-1", attendees=attendees, **stamped).json()
    expand = {"$expand": f"singleValueExtendedProperties($filter=id eq '{PROPERTY}')"}
    bounds = {
        name: {"dateTime": f"2026-06-0{day}T00:00:00", "timeZone": "UTC"}
        for name, day in (("startTime", 1), ("endTime", 8))
    }
    schedule = microsoft.call(
        "POST", "/me/calendar/getSchedule", {**bounds, "schedules": [ADA, "nobody@example.com"]}
    ).json()
    events = [
        made,
        microsoft.call("GET", f"/me/events/{made['id']}", params=expand).json(),
        microsoft.call("PATCH", f"/me/events/{made['id']}", {"subject": "Moved"}).json(),
        *microsoft.view().json()["value"],
        *microsoft.view(**{"$select": "start,end,showAs"}).json()["value"],
        *microsoft.call("GET", "/me/calendar/events", params=expand).json()["value"],
    ]
    calendars = [microsoft.call("GET", "/me/calendar").json(), *microsoft.call("GET", "/me/calendars").json()["value"]]
    errors = [microsoft.create(end=None).json(), microsoft.call("GET", "/me/events/unknown").json()]
    named = {"event": events, "calendar": calendars, "scheduleInformation": schedule["value"]}
    described = [(f"microsoft.graph.{name}", value) for name, values in named.items() for value in values]
    return described + [("error", value) for value in errors]


def test_every_graph_answer_fits_microsofts_description(
    microsoft: Microsoft, admin: SandboxAdmin, description: dict[str, Any] | None
) -> None:
    # given outside events of each kind, and one exchange of every kind
    admin.add_event("microsoft", ADA, "2026-06-02", "2026-06-03", all_day=True, title="Holiday")
    admin.add_event(
        "microsoft", ADA, "2026-06-04T09:00:00Z", "2026-06-04T10:00:00Z", cancelled=True, attendees=["x@example.com"]
    )
    # when the answers are judged
    answers = _graph_answers(microsoft)
    # then every field is known and of its type
    assert len(answers) > 10
    assert [(name, wrong) for name, value in answers for wrong in graph_faults(description, name, value)] == []


def test_the_judge_of_graph_answers_does_object(description: dict[str, Any] | None) -> None:
    # given wrong answers, when they are judged, then each is found wrong: otherwise the test above could not fail
    assert graph_faults(description, "microsoft.graph.event", {"colour": "red"})
    assert graph_faults(description, "microsoft.graph.event", {"isAllDay": "no"})
    assert graph_faults(description, "microsoft.graph.event", {"start": {"when": "x"}})
    assert graph_faults(description, "error", {"error": "no"})


def test_whole_graph_exchanges_fit_microsofts_description(microsoft: Microsoft, admin: SandboxAdmin) -> None:
    # given Microsoft's description set on the sandbox's address; where it is absent, the judgement by hand above stands alone
    described = graph_description()
    admin.add_event("microsoft", ADA, "2026-06-02T09:00:00Z", "2026-06-02T10:00:00Z", title="Dentist")
    made = microsoft.create(singleValueExtendedProperties=[{"id": PROPERTY, "value": "b-1"}])
    assert made.status_code == 201
    # when requests and answers are judged together
    exchanges = [
        microsoft.view(**{"$select": "start,end,showAs", "$top": "1"}),
        microsoft.call("GET", "/me/calendars"),
        microsoft.call("GET", "/me/calendar"),
        microsoft.call("PATCH", f"/me/events/{made.json()['id']}", {"showAs": "tentative"}),
        microsoft.call("DELETE", f"/me/events/{made.json()['id']}"),
        microsoft.call("GET", f"/me/events/{made.json()['id']}"),
        microsoft.call("POST", "/me/calendar/events", {"subject": "no times"}),
    ]
    # then each fits, errors included
    assert [answer.status_code for answer in exchanges] == [200, 200, 200, 200, 204, 404, 400]
    if described is not None:
        judge = OpenAPI.from_dict({**described, "servers": [{"url": f"{microsoft.base}/graph/v1.0"}]})
        for answer in exchanges:
            request = RequestsOpenAPIRequest(answer.request)
            judge.validate_request(request)
            judge.validate_response(request, RequestsOpenAPIResponse(answer))

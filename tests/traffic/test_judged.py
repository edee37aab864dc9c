"""The judge of recorded traffic: what Valet asks today passes, and every planted violation is caught and named."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.providers.allowlist import EVENT_FIELDS, MARK_FILTER, MARK_PROPERTY, PREFER
from tests.contract.sandbox.official import graph_description
from tests.traffic.judged import judged, violations
from tests.traffic.shapes import GOOGLE_API, GRAPH, Shape

GOOGLE_SCOPES = [
    "https://www.googleapis.com/auth/calendar.events.owned",
    "https://www.googleapis.com/auth/calendar.freebusy",
]
EVENTS = f"{GOOGLE_API}/calendars/{{calendar}}/events"
FILTER = MARK_FILTER.format(property=MARK_PROPERTY, mark="*")
TIMES = ["start", "start.dateTime", "end", "end.dateTime"]


def google(operation: str, method: str, path: str, **more: Any) -> Shape:
    return Shape("valet", f"google.{operation}", method, path, **{"scopes": GOOGLE_SCOPES, **more})


def graph(operation: str, method: str, path: str, **more: Any) -> Shape:
    defaults = {"scopes": ["Calendars.ReadWrite", "openid"], "prefer": PREFER}
    return Shape("valet", f"microsoft.{operation}", method, f"{GRAPH}/me{path}", **{**defaults, **more})


FREE_BUSY = google("freeBusy", "POST", f"{GOOGLE_API}/freeBusy", fields=["timeMin", "timeMax", "items", "items.id"])
GET = google("events.get", "GET", f"{EVENTS}/{{event}}", query={"fields": [EVENT_FIELDS]})
INSERT = google(
    "events.insert",
    "POST",
    EVENTS,
    query={"fields": [EVENT_FIELDS], "sendUpdates": ["none"]},
    fields=["id", *TIMES, "summary", "extendedProperties.private", "extendedProperties.private.valetBooking"],
)
DELETE = google("events.delete", "DELETE", f"{EVENTS}/{{event}}", query={"sendUpdates": ["none"]})
VIEW = graph(
    "calendarView",
    "GET",
    "/calendars/{calendar}/calendarView",
    query={"$select": ["start,end,showAs"], "$top": ["*"], "startDateTime": ["*"], "endDateTime": ["*"]},
)
FIND = graph(
    "events.list", "GET", "/calendar/events", query={"$filter": [FILTER], "$select": ["id,start,end"], "$top": ["*"]}
)
CREATE = graph(
    "events.create",
    "POST",
    "/calendar/events",
    fields=["subject", "body.content", *TIMES, "isAllDay", "transactionId", "singleValueExtendedProperties.value"],
)
PATCH = graph("events.patch", "PATCH", "/events/{event}", fields=["subject", *TIMES])
PURGE = graph("events.purge", "POST", "/events/{event}/permanentDelete")
TOKEN = Shape("valet", "microsoft.token", "POST", "/{tenant}/oauth2/v2.0/token", fields=["grant_type", "scope"])
DISCOVERY = Shape("valet", "microsoft.discovery", "GET", "/{tenant}/v2.0/.well-known/openid-configuration")


@pytest.fixture(params=["official", "by hand"])
def description(request: pytest.FixtureRequest) -> dict[str, Any] | None:
    """Microsoft's description; and None, which stands for the lists by hand, the only judge where the file is absent."""
    return graph_description() if request.param == "official" else None


def changed(call: Shape, **changes: Any) -> Shape:
    return msgspec.structs.replace(call, **changes)


@pytest.mark.parametrize(
    "call",
    [FREE_BUSY, GET, INSERT, DELETE, VIEW, FIND, CREATE, PATCH, PURGE, TOKEN, DISCOVERY],
    ids=lambda c: c.operation,
)
def test_what_valet_asks_passes(call: Shape, description: dict[str, Any] | None) -> None:
    assert judged(call, description) == []


LIST = google("events.list", "GET", EVENTS, query={"fields": ["items(id,status)"]})
SCHEDULE = graph("getSchedule", "POST", "/calendar/getSchedule", fields=["schedules"])
MESSAGES = graph("unknown", "GET", "/messages")


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        # reads that Valet never makes
        (LIST, "Valet never asks this"),
        (SCHEDULE, "Valet never asks this"),
        (MESSAGES, "Valet never asks this"),
        (graph("events.get", "GET", "/events/{event}"), "Valet never asks this"),
        # titles, texts, places, guests
        (changed(VIEW, query={**VIEW.query, "$select": ["start,end,showAs,subject"]}), "asks for subject"),
        (changed(FIND, query={**FIND.query, "$select": ["id,bodyPreview"]}), "asks for bodyPreview"),
        (changed(GET, query={"fields": ["id,summary"]}), "asks for summary"),
        (changed(GET, query={"fields": ["id,attendees(email)"]}), "asks for attendees, email"),
        (changed(GET, query={"fields": ["id,start,extendedProperties"]}), "asks for extendedProperties"),
        (changed(GET, query={}), "answered with everything"),
        (changed(VIEW, query={**VIEW.query, "$select": []}), "answered with everything"),
        # entries that are not ours, mails, scopes
        (changed(FIND, query={"$select": ["id,start,end"]}), "not ours"),
        (changed(FIND, query={**FIND.query, "$filter": ["contains(subject,'*')"]}), "not ours"),
        (changed(DELETE, query={"sendUpdates": ["all"]}), "told by mail"),
        (changed(GET, scopes=["https://www.googleapis.com/auth/calendar"]), "has the scope"),
        (changed(VIEW, scopes=["Mail.Read", "Calendars.ReadWrite"]), "has the scope Mail.Read"),
        # what the providers do not know
        (changed(GET, query={**GET.query, "showAll": ["*"]}), "no query parameter showAll"),
        (changed(INSERT, fields=[*INSERT.fields, "sumary"]), "no body field sumary"),
        (changed(INSERT, fields=[*INSERT.fields, "start.hour"]), "no body field start.hour"),
        (changed(DELETE, query={"sendUpdates": ["nobody"]}), "no such value"),
        (changed(GET, query={"fields": ["id,titel"]}), "no field titel"),
        (changed(GET, method="PUT", path=EVENTS), "no such method"),
        (changed(GET, scopes=[GOOGLE_SCOPES[1]]), "none of the token's scopes"),
        (changed(VIEW, query={**VIEW.query, "$limit": ["*"]}), "no query parameter $limit"),
        (changed(VIEW, query={"$select": ["start,end,showAs"], "startDateTime": ["*"]}), "endDateTime is missing"),
        (changed(FIND, query={**FIND.query, "$select": ["id,ende"]}), "no field ende"),
        (changed(CREATE, fields=[*CREATE.fields, "titel"]), "no body field titel"),
        (changed(CREATE, fields=[*CREATE.fields, "start.hour"]), "no body field start.hour"),
        (changed(PATCH, path=f"{GRAPH}/me/entries/{{event}}"), "no such method"),
        (changed(PATCH, path="/graph/beta/me/events/{event}"), "no description knows this address"),
        (changed(PURGE, fields=["comment"]), "no body field comment"),
        (changed(PURGE, path=f"{GRAPH}/me/calendar/permanentDelete"), "no such method"),
        (changed(TOKEN, fields=["grant_type", "password"]), "OAuth knows no password"),
        # what the providers know, and the allow-list does not
        (changed(INSERT, fields=[*INSERT.fields, "attendees"]), "not on the allow-list"),
        (changed(CREATE, fields=[*CREATE.fields, "attendees"]), "not on the allow-list"),
        (changed(VIEW, query={**VIEW.query, "$filter": ["*"]}), "not on the allow-list"),
        (changed(VIEW, query={**VIEW.query, "$top": ["*", "*"]}), "not on the allow-list"),
        (changed(VIEW, prefer='outlook.timezone="UTC"'), "not on the allow-list"),
        (changed(DELETE, query={}), "not on the allow-list"),
        (changed(CREATE, fields=[]), "not on the allow-list"),
        (graph("calendars.list", "GET", "/calendars"), "not on the allow-list"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_planted_violation_is_caught(call: Shape, fault: str, description: dict[str, Any] | None) -> None:
    found = judged(call, description)
    assert any(fault in line for line in found), found


def write(file: Path, *calls: Shape) -> Path:
    file.write_bytes(b"".join(msgspec.json.encode(call) + b"\n" for call in calls))
    return file


def test_only_valets_own_calls_are_judged(tmp_path: Path) -> None:
    by_others = [changed(LIST, agent=agent) for agent in ("python-requests/2.32", "sandbox-browser", "")]
    assert violations([write(tmp_path / "a", GET, *by_others), tmp_path / "absent"]) == []
    found = violations([write(tmp_path / "b", *by_others, LIST)])
    assert any(line.startswith("GET /google/calendar/v3/calendars/{calendar}/events?fields=") for line in found)


def test_a_file_that_is_none_is_not_taken_for_clean(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"agent": "valet"}\n')
    with pytest.raises(msgspec.ValidationError):
        violations([tmp_path / "a"])

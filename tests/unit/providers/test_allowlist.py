"""The door lets through what the allow-list knows, and nothing else."""

from typing import Any

import pytest
import requests
from prometheus_client import REGISTRY

from libs.config.settings import Settings
from libs.providers.allowlist import EVENT_FIELDS, MARK_FILTER, MARK_PROPERTY, PREFER
from libs.providers.egress import Door
from libs.providers.errors import EgressRefused, Unreachable

GRAPH = "https://graph.microsoft.com/v1.0"
GOOGLE = "https://www.googleapis.com/calendar/v3"
VIEW = {"startDateTime": "2030-01-01T00:00:00Z", "endDateTime": "2030-01-02T00:00:00Z", "$select": "start,end,showAs"}
UNSELECTED = {name: value for name, value in VIEW.items() if name != "$select"}
FIND = {"$filter": MARK_FILTER.format(property=MARK_PROPERTY, mark="m4rk"), "$select": "id,start,end", "$top": "2"}
WRITE = {"sendUpdates": "none", "fields": EVENT_FIELDS}


class Wire:
    """Stands where the network would be, and counts what leaves."""

    def __init__(self, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.sent: list[requests.PreparedRequest] = []
        self.status = status
        self.headers = headers or {}

    def exchange(self, request: requests.PreparedRequest, connect: float, read: float) -> requests.Response:
        from io import BytesIO

        from urllib3 import HTTPResponse

        self.sent.append(request)
        response = requests.Response()
        response.status_code = self.status
        response.headers.update(self.headers)
        response.raw = HTTPResponse(BytesIO(b"{}"), preload_content=False)
        return response


def door(wire: Wire) -> Door:
    return Door(Settings(), wire)  # type: ignore[arg-type]  # only `exchange` is used


def refused(provider: str, operation: str) -> float:
    return (
        REGISTRY.get_sample_value("valet_egress_refused_total", {"provider": provider, "operation": operation}) or 0.0
    )


@pytest.mark.parametrize(
    ("operation", "path", "query", "body"),
    [
        ("calendarview.list", "/me/calendar/calendarView", VIEW, None),
        ("calendarview.list", "/me/calendars/AAMk%3D/calendarView", {**VIEW, "$top": "100", "$skip": "100"}, None),
        ("events.find", "/me/calendar/events", FIND, None),
        ("events.create", "/me/calendar/events", None, {"subject": "x", "start": {"dateTime": "y", "timeZone": "UTC"}}),
        ("events.delete", "/me/events/AAMk%3D", None, None),
        ("events.purge", "/me/events/AAMk%3D/permanentDelete", None, None),
    ],
)
def test_what_graph_is_asked_passes(
    operation: str, path: str, query: dict[str, str] | None, body: dict[str, Any] | None
) -> None:
    wire = Wire()
    door(wire).ask("microsoft", operation, GRAPH + path, token="t", query=query, body=body)
    assert len(wire.sent) == 1
    assert wire.sent[0].headers["Prefer"] == PREFER
    assert wire.sent[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("operation", "url", "query", "body", "label"),
    [
        ("calendarview.list", GRAPH + "/me/calendar/calendarView", {**VIEW, "$select": "start,end,showAs,subject"}, None, "query"),
        ("calendarview.list", GRAPH + "/me/calendar/calendarView", UNSELECTED, None, "query"),
        ("calendarview.list", GRAPH + "/me/calendar/calendarView", {**VIEW, "$expand": "instances"}, None, "query"),
        ("calendarview.list", GRAPH + "/me/calendar/calendarView?$select=subject", VIEW, None, "query"),
        ("calendarview.list", GRAPH + "/users/ada/calendar/calendarView", VIEW, None, "path"),
        ("calendarview.list", GRAPH + "/me/calendars/../../me/messages", VIEW, None, "path"),
        ("calendarview.list", GRAPH + "/me/calendars/..%2F..%2Fmessages/calendarView", VIEW, None, "path"),
        ("calendarview.list", "https://graph.example.com/v1.0/me/calendar/calendarView", VIEW, None, "host"),
        ("calendarview.list", "https://graph.microsoft.com.example.com/v1.0/me/calendar/calendarView", VIEW, None, "host"),
        ("calendarview.list", "https://graph.microsoft.com:8443/v1.0/me/calendar/calendarView", VIEW, None, "host"),
        ("calendarview.list", "https://u@graph.microsoft.com/v1.0/me/calendar/calendarView", VIEW, None, "host"),
        ("calendarview.list", "http://graph.microsoft.com/v1.0/me/calendar/calendarView", VIEW, None, "host"),
        ("calendarview.list", GRAPH + "/me/calendar/calendarView", VIEW, {"subject": "x"}, "body"),
        ("events.find", GRAPH + "/me/calendar/events", {**FIND, "$filter": "contains(subject,'x')"}, None, "query"),
        ("events.find", GRAPH + "/me/calendar/events", {"$select": "id,start,end"}, None, "query"),
        ("events.create", GRAPH + "/me/calendar/events", None, {"attendees": [{"type": "required"}]}, "body"),
        ("events.create", GRAPH + "/me/calendar/events", None, None, "body"),
        ("events.purge", GRAPH + "/me/calendars/AAMk%3D/permanentDelete", None, None, "path"),
        ("events.purge", GRAPH + "/me/calendar/permanentDelete", None, None, "path"),
    ],
)  # fmt: skip
def test_anything_else_is_stopped_and_counted(
    operation: str, url: str, query: dict[str, str] | None, body: dict[str, Any] | None, label: str
) -> None:
    wire, before = Wire(), refused("microsoft", operation)
    with pytest.raises(EgressRefused) as caught:
        door(wire).ask("microsoft", operation, url, token="t", query=query, body=body)
    assert caught.value.label == f"egress-{label}"
    assert wire.sent == []
    assert refused("microsoft", operation) == before + 1


def test_an_operation_nobody_listed_is_stopped() -> None:
    wire = Wire()
    with pytest.raises(EgressRefused, match="operation"):
        door(wire).ask("microsoft", "getSchedule", GRAPH + "/me/calendar/getSchedule", token="t", body={})
    assert wire.sent == []


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ({**WRITE, "sendUpdates": "all"}, {"id": "abcde"}),
        ({"sendUpdates": "none"}, {"id": "abcde"}),
        ({**WRITE, "fields": "*"}, {"id": "abcde"}),
        (WRITE, {"id": "abcde", "attendees": [{"email": "x"}]}),
    ],
)
def test_google_writes_tell_nobody_and_read_nothing_back(query: dict[str, str], body: dict[str, Any]) -> None:
    wire = Wire()
    with pytest.raises(EgressRefused):
        door(wire).ask(
            "google", "events.insert", GOOGLE + "/calendars/primary/events", token="t", query=query, body=body
        )
    assert wire.sent == []


def test_a_header_that_is_not_listed_is_stopped() -> None:
    wire = Wire()
    request = requests.Request("DELETE", GRAPH + "/me/events/A", headers={"Prefer": PREFER, "X-AnchorMailbox": "ada"})
    with pytest.raises(EgressRefused, match="header"):
        door(wire).send("microsoft", "events.delete", request.prepare())
    assert wire.sent == []


def test_the_method_is_the_rules_own() -> None:
    request = requests.Request("DELETE", GOOGLE + "/freeBusy", data=b"{}", headers={"Content-Type": "application/json"})
    with pytest.raises(EgressRefused, match="method"):
        door(Wire()).send("google", "freebusy.query", request.prepare())


def test_a_form_field_that_is_not_listed_or_stands_twice_is_stopped() -> None:
    for form in ("token=a&subject=b", "token=a&token=b"):
        request = requests.Request(
            "POST",
            "https://oauth2.googleapis.com/revoke",
            data=form,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        with pytest.raises(EgressRefused, match="body"):
            door(Wire()).send("google", "oauth.revoke", request.prepare())


def test_a_redirect_is_not_followed_and_counts_as_refused() -> None:
    wire, before = Wire(302, {"Location": "https://elsewhere.example.com/"}), refused("google", "freebusy.query")
    with pytest.raises(Unreachable, match="redirected"):
        door(wire).ask("google", "freebusy.query", GOOGLE + "/freeBusy", token="t", body={"timeMin": "x"})
    assert len(wire.sent) == 1
    assert refused("google", "freebusy.query") == before + 1


def test_a_compressed_answer_is_not_unpacked() -> None:
    wire = Wire(headers={"Content-Encoding": "gzip"})
    with pytest.raises(Unreachable, match="unreadable-answer"):
        door(wire).ask("google", "freebusy.query", GOOGLE + "/freeBusy", token="t", body={"timeMin": "x"})


def test_a_refusal_says_nothing_of_what_was_asked() -> None:
    with pytest.raises(EgressRefused) as caught:
        door(Wire()).ask(
            "google", "freebusy.query", "https://x.example/canary", token="canary", body={"canary": "canary"}
        )
    assert "canary" not in repr(caught.value)

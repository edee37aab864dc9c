"""Graph's calendar: the view, paging, $select, transactionId, extended properties, immutable ids, scopes and errors."""

from typing import Any

import pytest
import requests

from deploy.sandbox.browser import callback_url
from deploy.sandbox.client import SandboxAdmin
from tests.contract.sandbox.clients import Microsoft, msal_app, query_of
from tests.contract.sandbox.conftest import ADA

PROPERTY = "String {66F5A359-4659-4830-9070-00047EC6AC6E} Name Booking"
NORMAL = "String {66f5a359-4659-4830-9070-00047ec6ac6e} Name Booking"
BY_PROPERTY = f"singleValueExtendedProperties/Any(ep: ep/id eq '{PROPERTY}' and ep/value eq 'b-1')"
EXPANDED = f"singleValueExtendedProperties($filter=id eq '{PROPERTY}')"


def _code(answer: requests.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert error["message"]
    assert {"date", "request-id", "client-request-id"} <= set(error["innerError"])
    return answer.status_code, error["code"]


def _stamped(value: str = "b-1") -> dict[str, Any]:
    return {"singleValueExtendedProperties": [{"id": PROPERTY, "value": value}]}


def test_select_really_leaves_out_titles(microsoft: Microsoft, admin: SandboxAdmin) -> None:
    # given an outside event with everything private in it
    more = {"title": "Secret plans", "body": "the body", "attendees": ["guest@example.com"], "show_as": "oof"}
    admin.add_event("microsoft", ADA, "2026-06-02T09:00:00Z", "2026-06-02T10:00:00Z", **more)
    # when the view is asked for with and without $select
    whole = microsoft.view().json()["value"][0]
    part = microsoft.view(**{"$select": "start,end,showAs"}).json()["value"][0]
    # then $select leaves the times, the id and the etag
    assert (whole["subject"], whole["attendees"][0]["emailAddress"]["address"]) == ("Secret plans", "guest@example.com")
    assert set(part) == {"@odata.etag", "id", "start", "end", "showAs"}
    assert part["showAs"] == "oof"
    assert part["start"] == {"dateTime": "2026-06-02T09:00:00.0000000", "timeZone": "UTC"}


def test_the_view_comes_in_pages(microsoft: Microsoft, admin: SandboxAdmin) -> None:
    # given 23 events in the week, and some outside it
    for minute in range(23):
        admin.add_event("microsoft", ADA, f"2026-06-02T09:{minute:02}:00Z", f"2026-06-02T10:{minute:02}:00Z")
    admin.add_event("microsoft", ADA, "2026-06-08T00:00:00Z", "2026-06-08T01:00:00Z")
    # when the pages are followed, by tens and by sevens
    for size, pages in ((None, 3), ("7", 4)):
        answer = microsoft.view(**({"$top": size} if size else {}), **{"$select": "start,end,showAs"}).json()
        seen, count = [event["id"] for event in answer["value"]], 1
        while "@odata.nextLink" in answer:
            link = answer["@odata.nextLink"]
            assert query_of(link)["$select"] == "start,end,showAs"
            prefer = {"prefer": 'IdType="ImmutableId"'}
            answer = microsoft.call("GET", link.removeprefix(f"{microsoft.base}/graph/v1.0"), headers=prefer).json()
            seen += [event["id"] for event in answer["value"]]
            count += 1
        # then every event comes once
        assert (len(seen), len(set(seen)), count) == (23, 23, pages)


def test_prefer_chooses_the_zone_and_is_confirmed(microsoft: Microsoft) -> None:
    # given an event at nine in New York
    start, end = (
        {"dateTime": f"2026-06-01T{hour}:00:00", "timeZone": "Eastern Standard Time"} for hour in ("09", "10")
    )
    microsoft.create(start=start, end=end)
    # when it is read in UTC and in Berlin's zone
    utc = microsoft.view()
    window = {"startDateTime": "2026-06-01T00:00:00", "endDateTime": "2026-06-02T00:00:00+00:00"}
    berlin = microsoft.call(
        "GET", "/me/calendarView", params=window, headers={"prefer": 'outlook.timezone="Europe/Berlin"'}
    )
    # then the times follow, and the answer says what was applied
    assert utc.json()["value"][0]["start"] == {"dateTime": "2026-06-01T13:00:00.0000000", "timeZone": "UTC"}
    assert 'outlook.timezone="UTC"' in utc.headers["preference-applied"]
    assert berlin.json()["value"][0]["start"] == {
        "dateTime": "2026-06-01T15:00:00.0000000",
        "timeZone": "Europe/Berlin",
    }
    assert utc.json()["value"][0]["originalStartTimeZone"] == "Eastern Standard Time"


def test_immutable_ids_differ_and_both_lead_to_the_event(microsoft: Microsoft) -> None:
    # given an event whose immutable id is known
    immutable = microsoft.create().json()["id"]
    # when it is read without the preference
    mutable = microsoft.call("GET", f"/me/events/{immutable}").json()["id"]
    # then it has another id, and both lead to it
    assert mutable != immutable
    again = microsoft.call("GET", f"/me/calendar/events/{mutable}", headers={"prefer": 'IdType="ImmutableId"'})
    assert again.json()["id"] == immutable


def test_a_transaction_id_makes_one_event_until_it_is_forgotten(microsoft: Microsoft, admin: SandboxAdmin) -> None:
    # given an event made with a transactionId
    first = microsoft.create(transactionId="t-1")
    # when the same comes again, by another path
    second = microsoft.create("/me/events", transactionId="t-1")
    # then it is the same event, and nothing was created
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json()["id"] == first.json()["id"]
    assert second.json()["transactionId"] == "t-1"
    assert admin.account("microsoft", ADA)["created"] == 1
    # and when Graph has forgotten it, there is a second one
    admin.settings(transaction_id_seconds=0)
    assert microsoft.create(transactionId="t-1").json()["id"] != first.json()["id"]
    assert admin.account("microsoft", ADA)["created"] == 2


def test_events_are_found_by_their_extended_property(microsoft: Microsoft) -> None:
    # given one event with the property and one without
    made = microsoft.create(**_stamped()).json()
    microsoft.create(**_stamped("b-2"))
    assert "singleValueExtendedProperties" not in made
    # when it is looked up
    query = {"$filter": BY_PROPERTY, "$select": "id,start,end", "$expand": EXPANDED}
    found = microsoft.call(
        "GET", "/me/calendar/events", params=query, headers={"prefer": 'IdType="ImmutableId"'}
    ).json()["value"]
    # then exactly that one comes, with the property, and with nothing else that was not asked for
    assert [event["id"] for event in found] == [made["id"]]
    assert found[0]["singleValueExtendedProperties"] == [{"id": NORMAL, "value": "b-1"}]
    assert set(found[0]) == {"@odata.etag", "id", "start", "end", "singleValueExtendedProperties"}
    plain = microsoft.call("GET", f"/me/events/{made['id']}", params={"$expand": EXPANDED}).json()
    assert plain["singleValueExtendedProperties"][0]["value"] == "b-1"


def test_an_event_is_changed_and_deleted(microsoft: Microsoft) -> None:
    # given an event
    made = microsoft.create(subject="Appointment", **_stamped()).json()
    path = f"/me/events/{made['id']}"
    # when it is moved with the right etag, and again with the old one
    times = {
        name: {"dateTime": f"2026-06-03T{hour}:00:00", "timeZone": "UTC"}
        for name, hour in (("start", "09"), ("end", "10"))
    }
    moved = microsoft.call("PATCH", path, {**times, "subject": "Moved"}, headers={"if-match": made["@odata.etag"]})
    late = microsoft.call("PATCH", path, times, headers={"if-match": made["@odata.etag"]})
    # then the first is done and found at its new place, with its property; the second conflicts
    assert (moved.status_code, moved.json()["subject"]) == (200, "Moved")
    assert [event["start"]["dateTime"][:10] for event in microsoft.view().json()["value"]] == ["2026-06-03"]
    assert len(microsoft.call("GET", "/me/events", params={"$filter": BY_PROPERTY}).json()["value"]) == 1
    assert _code(late) == (412, "ErrorIrresolvableConflict")
    # and a deleted event is gone for every later call
    assert microsoft.call("DELETE", path).status_code == 204
    gone = {
        _code(microsoft.call(method, path, {} if method == "PATCH" else None)) for method in ("GET", "PATCH", "DELETE")
    }
    assert gone == {(404, "ErrorItemNotFound")}
    assert microsoft.call("GET", "/me/events", params={"$filter": BY_PROPERTY}).json()["value"] == []


def test_calendars_are_listed_and_kept_apart(microsoft: Microsoft) -> None:
    # given the main calendar and another one
    listed = microsoft.call("GET", "/me/calendars", params={"$select": "id,name,isDefaultCalendar,canEdit"}).json()[
        "value"
    ]
    assert [(calendar["name"], calendar["isDefaultCalendar"]) for calendar in listed] == [
        ("Calendar", True),
        ("Choir", False),
    ]
    choir = f"/me/calendars/{listed[1]['id']}"
    # when an event is made in the other one
    made = microsoft.create(f"{choir}/events").json()
    # then only that one shows it
    assert [event["id"] for event in microsoft.view(choir).json()["value"]] == [made["id"]]
    assert microsoft.view().json()["value"] == []
    assert microsoft.call("GET", f"/me/events/{made['id']}").status_code == 200
    assert _code(microsoft.call("GET", f"/me/calendar/events/{made['id']}")) == (404, "ErrorItemNotFound")
    assert microsoft.call("GET", "/me/calendar").json()["id"] == listed[0]["id"]
    assert _code(microsoft.call("GET", "/me/calendars/unknown")) == (404, "ErrorItemNotFound")


def test_every_show_as_value_and_all_day_come_through(microsoft: Microsoft, admin: SandboxAdmin) -> None:
    # given one event of each kind, an all-day one and a cancelled one
    kinds = ["free", "tentative", "busy", "oof", "workingElsewhere"]
    for hour, kind in enumerate(kinds):
        admin.add_event("microsoft", ADA, f"2026-06-02T{hour:02}:00:00Z", f"2026-06-02T{hour:02}:30:00Z", show_as=kind)
    admin.add_event("microsoft", ADA, "2026-06-03", "2026-06-04", all_day=True)
    admin.add_event("microsoft", ADA, "2026-06-05T09:00:00Z", "2026-06-05T10:00:00Z", cancelled=True)
    # when the view is read
    events = microsoft.view().json()["value"]
    # then each says what it is
    assert [event["showAs"] for event in events][:5] == kinds
    assert [event["isAllDay"] for event in events] == [False] * 5 + [True, False]
    assert events[5]["end"]["dateTime"] == "2026-06-04T00:00:00.0000000"
    assert events[6]["isCancelled"]


def test_get_schedule_would_give_titles_away(microsoft: Microsoft, admin: SandboxAdmin) -> None:
    # given an outside event, when getSchedule is asked
    admin.add_event("microsoft", ADA, "2026-06-02T09:00:00Z", "2026-06-02T10:00:00Z", title="Secret plans")
    bounds = {
        name: {"dateTime": f"2026-06-0{day}T00:00:00", "timeZone": "UTC"}
        for name, day in (("startTime", 1), ("endTime", 8))
    }
    answer = microsoft.call(
        "POST", "/me/calendar/getSchedule", {**bounds, "schedules": [ADA, "nobody@example.com"]}
    ).json()
    # then it answers with the subject, and the record shows that it was asked
    assert answer["value"][0]["scheduleItems"][0]["subject"] == "Secret plans"
    assert answer["value"][1]["error"]["responseCode"] == "ErrorMailRecipientNotFound"
    assert len(admin.requests("microsoft.getSchedule")) == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"start": None}, "ErrorPropertyValidationFailure"),
        ({"end": {"dateTime": "2026-06-01T08:00:00", "timeZone": "UTC"}}, "ErrorPropertyValidationFailure"),
        ({"start": {"dateTime": "soon", "timeZone": "UTC"}}, "ErrorPropertyValidationFailure"),
        ({"start": {"dateTime": "2026-06-01T09:00:00", "timeZone": "Mars"}}, "TimeZoneNotSupportedException"),
        ({"isAllDay": True}, "ErrorPropertyValidationFailure"),
        ({"showAs": "asleep"}, "RequestBodyRead"),
        ({"colour": "red"}, "RequestBodyRead"),
        ({"subject": 7}, "RequestBodyRead"),
        ({"attendees": [{"emailAddress": {"address": "nobody"}}]}, "ErrorInvalidRecipients"),
        ({"singleValueExtendedProperties": [{"id": "Booking", "value": "b-1"}]}, "ErrorInvalidProperty"),
    ],
)
def test_a_malformed_event_is_refused(microsoft: Microsoft, fields: dict[str, Any], code: str) -> None:
    # given an event with one thing wrong, when it is created, then it is refused and nothing is made
    assert _code(microsoft.create(**fields)) == (400, code)
    assert microsoft.view().json()["value"] == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"startDateTime": ""}, "ErrorInvalidParameter"),
        ({"startDateTime": "soon"}, "ErrorInvalidParameter"),
        ({"endDateTime": "2026-05-01T00:00:00Z"}, "ErrorInvalidParameter"),
        ({"endDateTime": "2032-06-01T00:00:00Z"}, "ErrorCalendarViewRangeTooBig"),
        ({"$select": "start,title"}, "RequestBroker--ParseUri"),
        ({"$top": "0"}, "ErrorInvalidUrlQueryParameter"),
        ({"$top": "1001"}, "ErrorInvalidUrlQueryParameter"),
        ({"$search": "x"}, "BadRequest"),
    ],
)
def test_a_malformed_view_is_refused(microsoft: Microsoft, query: dict[str, str], code: str) -> None:
    # given a view with one thing wrong, when it is asked for, then it is refused with Graph's code
    assert _code(microsoft.view(**query)) == (400, code)


def test_bad_tokens_and_missing_scopes_answer_as_graph_does(
    microsoft: Microsoft, admin: SandboxAdmin, session: requests.Session
) -> None:
    # given a token with calendars only, when the profile is asked for, then access is denied
    assert _code(microsoft.call("GET", "/me")) == (403, "ErrorAccessDenied")
    assert admin.expire_access_tokens("microsoft") == 1
    # and an expired token, or none, is not a token
    assert _code(microsoft.view()) == (401, "InvalidAuthenticationToken")
    assert _code(session.get(f"{microsoft.base}/graph/v1.0/me/calendar", timeout=5)) == (
        401,
        "InvalidAuthenticationToken",
    )


def test_a_read_only_scope_cannot_write(admin: SandboxAdmin, ca: str, session: requests.Session) -> None:
    # given a token for Calendars.Read and User.Read
    admin.create_account("microsoft", ADA)
    app = msal_app(admin.base_url, ca)
    flow = app.initiate_auth_code_flow(["Calendars.Read", "User.Read"], redirect_uri="https://localhost:9/cb")
    token = app.acquire_token_by_auth_code_flow(flow, query_of(callback_url(flow["auth_uri"], ADA, ca)))
    client = Microsoft(admin.base_url, ca, session, token, "/graph/v1.0")
    # when it reads and writes, then only reading works
    assert client.view().status_code == 200
    assert client.call("GET", "/me").json()["mail"] == ADA
    assert _code(client.create()) == (403, "ErrorAccessDenied")

"""Google's calendar: busy times, the rules for event ids, scopes and errors."""

from typing import Any

import pytest
import requests

from deploy.sandbox.client import SandboxAdmin
from tests.contract.sandbox.clients import FREE_BUSY, OWNED, Google
from tests.contract.sandbox.conftest import ADA

ID = "v0a1b2c3d4e5f6g7h8i9"


def _reason(answer: requests.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert error["code"] == answer.status_code
    assert error["message"]
    assert set(error["errors"][0]) >= {"domain", "reason", "message"}
    return answer.status_code, error["errors"][0]["reason"]


def test_busy_times_are_merged_and_clipped_and_leave_out_what_does_not_block(
    google: Google, admin: SandboxAdmin
) -> None:
    # given overlapping, touching, transparent and cancelled events, and one that began before the window
    day = "2026-06-02T"
    admin.add_event("google", ADA, day + "09:00:00Z", day + "10:00:00Z", title="Secret plans")
    admin.add_event("google", ADA, day + "09:30:00Z", day + "11:00:00Z", show_as="tentative")
    admin.add_event("google", ADA, day + "11:00:00Z", day + "11:30:00Z")
    admin.add_event("google", ADA, day + "13:00:00Z", day + "14:00:00Z", show_as="free")
    admin.add_event("google", ADA, day + "15:00:00Z", day + "16:00:00Z", cancelled=True)
    admin.add_event("google", ADA, "2026-05-31T22:00:00Z", "2026-06-01T02:00:00Z")
    # when busy times are asked for
    busy = google.busy("primary", ADA)
    # then they are joined, cut to the window, and the same by alias and by address
    assert busy["primary"] == busy[ADA]
    assert busy["primary"]["busy"] == [
        {"start": "2026-06-01T00:00:00Z", "end": "2026-06-01T02:00:00Z"},
        {"start": "2026-06-02T09:00:00Z", "end": "2026-06-02T11:30:00Z"},
    ]


def test_an_all_day_event_blocks_the_day_of_the_calendars_zone(
    admin: SandboxAdmin, ca: str, session: requests.Session
) -> None:
    # given a calendar in New York with an all-day event
    admin.create_account("google", "grace@example.com", time_zone="America/New_York")
    client = Google.connected(admin.base_url, ca, session, "grace@example.com")
    admin.add_event("google", "grace@example.com", "2026-06-02", "2026-06-03", all_day=True)
    # when busy times are asked for, then the day begins at New York's midnight
    assert client.busy("primary")["primary"]["busy"] == [
        {"start": "2026-06-02T04:00:00Z", "end": "2026-06-03T04:00:00Z"}
    ]


def test_a_long_event_blocks_every_day_of_it(google: Google, admin: SandboxAdmin) -> None:
    # given an event of three years, when a week in its middle is asked for, then all of it is busy
    admin.add_event("google", ADA, "2025-01-01T00:00:00Z", "2028-01-01T00:00:00Z")
    assert google.busy("primary")["primary"]["busy"] == [
        {"start": "2026-06-01T00:00:00Z", "end": "2026-06-08T00:00:00Z"}
    ]


def test_busy_times_come_in_the_zone_that_is_asked_for(google: Google) -> None:
    # given an event, when busy times are asked for in Berlin's zone
    google.insert()
    window = {
        "timeMin": "2026-06-01T00:00:00+02:00",
        "timeMax": "2026-06-02T00:00:00+02:00",
        "timeZone": "Europe/Berlin",
    }
    answer = google.call("POST", "/freeBusy", {**window, "items": [{"id": "primary"}]}).json()
    # then they carry its offset, and the bounds are UTC
    assert answer["calendars"]["primary"]["busy"] == [
        {"start": "2026-06-01T11:00:00+02:00", "end": "2026-06-01T12:00:00+02:00"}
    ]
    assert (answer["kind"], answer["timeMin"]) == ("calendar#freeBusy", "2026-05-31T22:00:00.000Z")


def test_errors_of_one_calendar_come_inside_the_200(google: Google, admin: SandboxAdmin) -> None:
    # given a calendar that does not exist, and a fault for one that does
    admin.add_fault("google.freeBusy", "calendar-error", calendar="primary", count=1)
    # when both are asked for
    busy = google.busy("primary", "nobody@example.com", ADA)
    # then each says what is wrong with it, and the third is fine
    assert busy["primary"] == {"errors": [{"domain": "global", "reason": "internalError"}], "busy": []}
    assert busy["nobody@example.com"]["errors"] == [{"domain": "global", "reason": "notFound"}]
    assert busy[ADA] == {"busy": []}


def test_more_than_fifty_calendars_are_too_many(google: Google) -> None:
    # given 51 calendars, when they are asked for in one call
    busy = google.busy(ADA, *[f"c{number}@example.com" for number in range(50)])
    # then the fifty-first is not answered
    assert busy["c49@example.com"]["errors"][0]["reason"] == "tooManyCalendarsRequested"
    assert busy["c48@example.com"]["errors"][0]["reason"] == "notFound"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"timeMax": "2026-06-01T00:00:00Z"}, "required"),
        ({"timeMin": "2026-06-02T00:00:00Z", "timeMax": "2026-06-01T00:00:00Z"}, "timeRangeEmpty"),
        ({"timeMin": "2026-06-01T00:00:00Z", "timeMax": "2026-08-01T00:00:00Z"}, "timeRangeTooLong"),
        ({"timeMin": "2026-06-01T00:00:00", "timeMax": "2026-06-02T00:00:00Z"}, "invalid"),
        ({"timeMin": "2026-06-01T00:00:00Z", "timeMax": "2026-06-02T00:00:00Z", "timeZone": "Mars/Olympus"}, "invalid"),
        (["not an object"], "parseError"),
    ],
)
def test_a_malformed_free_busy_request_is_refused(google: Google, body: object, reason: str) -> None:
    # given a request with one thing wrong, when it is made, then it is refused with Google's reason
    assert _reason(google.call("POST", "/freeBusy", body)) == (400, reason)


def test_an_event_id_is_used_up_for_good(google: Google) -> None:
    # given an event with an id of ours
    made = google.insert(id=ID, summary="Appointment", extendedProperties={"private": {"booking": "b-1"}})
    assert made.status_code == 200
    assert made.json()["id"] == ID
    # when the same id is inserted again, before and after the event is deleted
    before = google.insert(id=ID)
    deleted = google.call("DELETE", f"/calendars/primary/events/{ID}")
    after = google.insert(id=ID)
    # then it is a duplicate both times, the event stays readable as cancelled, and deleting again answers 410
    assert _reason(before) == _reason(after) == (409, "duplicate")
    assert (deleted.status_code, deleted.content) == (204, b"")
    left = google.call("GET", f"/calendars/{ADA}/events/{ID}").json()
    assert (left["status"], left["extendedProperties"]) == ("cancelled", {"private": {"booking": "b-1"}})
    assert _reason(google.call("DELETE", f"/calendars/primary/events/{ID}")) == (410, "deleted")
    assert google.busy("primary")["primary"]["busy"] == []


@pytest.mark.parametrize("wrong", ["abcd", "abcdw", "ABCDEF", "abc-def", "a" * 1025, 12345])
def test_an_id_that_breaks_the_rule_is_invalid(google: Google, wrong: object) -> None:
    # given an id outside a-v and 0-9, or too short or too long, when it is inserted, then it is refused
    assert _reason(google.insert(id=wrong)) == (400, "invalid")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"end": None}, "required"),
        ({"start": {"dateTime": "2026-06-01T09:00:00"}}, "required"),
        ({"start": {"dateTime": "soon"}}, "invalid"),
        ({"end": {"dateTime": "2026-06-01T08:00:00Z"}}, "timeRangeEmpty"),
        ({"start": {"date": "2026-06-01"}}, "invalid"),
        ({"transparency": "glass"}, "invalid"),
        ({"summary": 7}, "invalid"),
        ({"attendees": [{"email": "nobody"}]}, "invalid"),
        ({"extendedProperties": {"private": {"n" * 45: "v"}}}, "invalid"),
        ({"extendedProperties": {"private": {"n": "v" * 1025}}}, "invalid"),
    ],
)
def test_a_malformed_event_is_refused(google: Google, fields: dict[str, Any], reason: str) -> None:
    # given an event with one thing wrong, when it is inserted, then it is refused and nothing is made
    assert _reason(google.insert(**fields)) == (400, reason)
    assert google.busy("primary")["primary"]["busy"] == []


def test_a_patch_merges_and_needs_the_current_etag(google: Google) -> None:
    # given an event
    made = google.insert(
        id=ID, summary="Appointment", description="Room 4", extendedProperties={"private": {"a": "1", "b": "2"}}
    )
    path = f"/calendars/primary/events/{ID}"
    # when part of it is changed with the right etag
    change: dict[str, Any] = {"summary": "Moved", "description": None, "extendedProperties": {"private": {"a": "9"}}}
    change |= {"start": {"dateTime": "2026-06-03T09:00:00Z"}, "end": {"dateTime": "2026-06-03T10:00:00Z"}}
    patched = google.call("PATCH", path, change, headers={"if-match": made.json()["etag"]})
    # then the rest stays, a null takes away, the index follows, and the old etag no longer fits
    event = patched.json()
    assert (event["summary"], event["extendedProperties"]) == ("Moved", {"private": {"a": "9", "b": "2"}})
    assert "description" not in event
    assert google.busy("primary")["primary"]["busy"][0]["start"] == "2026-06-03T09:00:00Z"
    assert len(google.busy("primary")["primary"]["busy"]) == 1
    assert _reason(google.call("PATCH", path, change, headers={"if-match": made.json()["etag"]})) == (
        412,
        "conditionNotMet",
    )


def test_events_are_listed_by_private_property_only(google: Google) -> None:
    # given two events with a property, one of them deleted
    for number, identity in enumerate((ID, ID + "0")):
        google.insert(id=identity, extendedProperties={"private": {"booking": "b=1", "n": str(number)}})
    google.call("DELETE", f"/calendars/primary/events/{ID}")
    # when they are listed by it
    query = {"privateExtendedProperty": "booking=b=1"}
    live = google.call("GET", "/calendars/primary/events", params=query).json()["items"]
    both = google.call(
        "GET", "/calendars/primary/events", params=query | {"showDeleted": "true", "maxResults": "1"}
    ).json()
    # then the deleted one comes only if asked for, and a list without the filter is not played
    assert [event["id"] for event in live] == [ID + "0"]
    assert ([event["id"] for event in both["items"]], both["nextPageToken"]) == ([ID], "1")
    assert google.call("GET", "/calendars/primary/events").status_code == 501


def test_fields_leaves_out_what_is_not_asked_for(google: Google) -> None:
    # given an event with a title, when only some fields are asked for
    google.insert(id=ID, summary="Appointment", extendedProperties={"private": {"booking": "b-1"}})
    path = f"/calendars/primary/events/{ID}"
    answer = google.call("GET", path, params={"fields": "id,status,extendedProperties(private/booking),start/dateTime"})
    # then the title does not come
    assert answer.json() == {
        "id": ID,
        "status": "confirmed",
        "extendedProperties": {"private": {"booking": "b-1"}},
        "start": {"dateTime": "2026-06-01T09:00:00Z"},
    }
    assert _reason(google.call("GET", path, params={"fields": "id,("})) == (400, "invalidParameter")


def test_guests_are_told_only_if_asked(google: Google, admin: SandboxAdmin) -> None:
    # given three events with a guest and different sendUpdates
    guests = [{"email": "guest@example.com"}]
    times = {"start": {"dateTime": "2026-06-01T09:00:00Z"}, "end": {"dateTime": "2026-06-01T10:00:00Z"}}
    for updates in ("none", "all"):
        google.call(
            "POST", "/calendars/primary/events", {**times, "attendees": guests}, params={"sendUpdates": updates}
        )
    wrong = google.call(
        "POST", "/calendars/primary/events", {**times, "attendees": guests}, params={"sendUpdates": "some"}
    )
    # when the account is looked at, then one message went out, and the wrong value made nothing
    assert [note["sendUpdates"] for note in admin.account("google", ADA)["notifications"]] == ["all"]
    assert _reason(wrong) == (400, "invalidParameter")
    assert admin.account("google", ADA)["created"] == 2


def test_scopes_are_enforced(google: Google, ca: str, session: requests.Session, admin: SandboxAdmin) -> None:
    # given one token for busy times and one for events
    busy_only = Google.connected(admin.base_url, ca, session, ADA, [FREE_BUSY])
    events_only = Google.connected(admin.base_url, ca, session, ADA, [OWNED])
    # when each does what only the other may
    refused = [
        busy_only.insert(),
        busy_only.call("GET", "/calendars/primary/events/abcde"),
        events_only.call("POST", "/freeBusy", {}),
    ]
    # then all are refused, and a calendar that is not owned is out of reach of events.owned
    assert {_reason(answer) for answer in refused} == {(403, "insufficientPermissions")}
    admin._call(
        "POST", "/accounts", {"provider": "google", "email": ADA, "calendars": [{"name": "Shared", "role": "writer"}]}
    )
    shared = admin.account("google", ADA)["calendars"][-1]["id"]
    assert _reason(events_only.insert(shared)) == (403, "insufficientPermissions")
    assert google.busy(shared)[shared] == {"busy": []}


def test_bad_tokens_and_unknown_things_answer_as_google_does(
    google: Google, admin: SandboxAdmin, session: requests.Session
) -> None:
    # given an expired token, an unknown one and none at all
    url = f"{google.base}/google/calendar/v3/calendars/primary/events/abcde"
    assert _reason(google.call("GET", "/calendars/primary/events/abcde")) == (404, "notFound")
    assert _reason(google.call("GET", "/calendars/nobody@example.com/events/abcde")) == (404, "notFound")
    assert admin.expire_access_tokens("google", ADA) == 1
    # when they are used, then it is 401 with authError
    expired = google.call("GET", "/calendars/primary/events/abcde")
    unknown = session.get(url, headers={"authorization": "Bearer made-up"}, timeout=5)
    assert {_reason(expired), _reason(unknown), _reason(session.get(url, timeout=5))} == {(401, "authError")}


def test_a_secondary_calendar_is_another_calendar(google: Google, admin: SandboxAdmin) -> None:
    # given Ada's choir calendar, when an event is put there
    choir = admin.account("google", ADA)["calendars"][1]["id"]
    assert google.insert(choir, id=ID).status_code == 200
    # then it is not in the main one, and the id is free there
    assert google.busy("primary", choir)["primary"]["busy"] == []
    assert len(google.busy(choir)[choir]["busy"]) == 1
    assert google.insert(id=ID).status_code == 200

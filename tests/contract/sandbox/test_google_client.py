"""Google's own client library, from Google's own description, against the sandbox: only the root address is changed."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import google_auth_httplib2  # type: ignore[import-untyped]  # it ships no types
import httplib2  # type: ignore[import-untyped]  # it ships no types
import pytest
import requests
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError

from deploy.sandbox.client import SandboxAdmin
from deploy.sandbox.registrations import GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET
from tests.contract.sandbox.clients import FREE_BUSY, OWNED, Google
from tests.contract.sandbox.conftest import ADA
from tests.contract.sandbox.official import GOOGLE as DESCRIPTION

ID = "c11ent0123"
EVENT = {"id": ID, "start": {"dateTime": "2026-06-01T09:00:00Z"}, "end": {"dateTime": "2026-06-01T10:00:00Z"}}


@pytest.fixture
def calendar(google: Google) -> Any:
    """Google's client, signed in as Ada."""
    credentials = Credentials(  # type: ignore[no-untyped-call]  # its constructor has no types
        google.token["access_token"],
        refresh_token=google.token["refresh_token"],
        token_uri=f"{google.base}/google/token",
        client_id=GOOGLE_CLIENT_ID,
        client_secret=GOOGLE_CLIENT_SECRET,
        scopes=[FREE_BUSY, OWNED],
    )
    http = google_auth_httplib2.AuthorizedHttp(credentials, http=httplib2.Http(ca_certs=google.ca, timeout=5))
    root = f"{google.base}/google/"
    return build_from_document({**DESCRIPTION, "rootUrl": root, "baseUrl": root + "calendar/v3/"}, http=http)


def _reason(error: HttpError) -> tuple[int, str]:
    return error.resp.status, error.error_details[0]["reason"]


def test_the_life_of_an_event(calendar: Any) -> None:
    # given an event made with Google's client
    events = calendar.events()
    assert events.insert(calendarId="primary", body=EVENT, sendUpdates="none").execute()["id"] == ID
    # when it is made again, moved, deleted and deleted again
    with pytest.raises(HttpError) as duplicate:
        events.insert(calendarId="primary", body=EVENT).execute()
    moved = {
        name: {"dateTime": value["dateTime"].replace("-01T", "-02T")}
        for name, value in EVENT.items()
        if isinstance(value, dict)
    }
    assert events.patch(calendarId=ADA, eventId=ID, body=moved).execute()["start"]["dateTime"] == "2026-06-02T09:00:00Z"
    events.delete(calendarId="primary", eventId=ID).execute()
    with pytest.raises(HttpError) as deleted:
        events.delete(calendarId="primary", eventId=ID).execute()
    # then the client understands every answer
    assert _reason(duplicate.value) == (409, "duplicate")
    assert _reason(deleted.value) == (410, "deleted")
    assert events.get(calendarId="primary", eventId=ID).execute()["status"] == "cancelled"


def test_busy_times_after_the_access_token_expired(calendar: Any, admin: SandboxAdmin) -> None:
    # given an event, and an access token that has expired
    calendar.events().insert(calendarId="primary", body=EVENT).execute()
    admin.expire_access_tokens("google", ADA)
    admin.clear_requests()
    # when Google's client asks for busy times
    body = {"timeMin": "2026-06-01T00:00:00Z", "timeMax": "2026-06-02T00:00:00Z", "items": [{"id": "primary"}]}
    answer = calendar.freebusy().query(body=body).execute()
    # then it refreshes by itself and gets them
    assert answer["calendars"]["primary"]["busy"] == [{"start": "2026-06-01T09:00:00Z", "end": "2026-06-01T10:00:00Z"}]
    assert [entry["operation"] for entry in admin.requests()] == ["google.freeBusy", "google.token", "google.freeBusy"]


def test_of_many_inserts_of_one_id_at_once_one_succeeds(google: Google, admin: SandboxAdmin) -> None:
    # given twenty threads that insert the same id, when they are done
    def insert(_: int) -> int:
        headers = {"authorization": f"Bearer {google.token['access_token']}"}
        url = f"{google.base}/google/calendar/v3/calendars/primary/events"
        return requests.post(url, json=EVENT, headers=headers, verify=google.ca, timeout=5).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(insert, range(20)))
    # then one made it, and there is one event
    assert statuses == [200] + [409] * 19
    assert admin.account("google", ADA)["created"] == 1
    assert admin.account("google", ADA)["most_in_flight"] >= 1

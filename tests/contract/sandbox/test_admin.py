"""The admin API, the record of requests, the browser helper, and the program itself."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from deploy.sandbox.browser import BrowserError, approve
from deploy.sandbox.client import SandboxAdmin, SandboxError
from tests.contract.sandbox.clients import Google, Microsoft, google_authorize, google_session
from tests.contract.sandbox.conftest import ADA

ID = "ad0b1c2d3e4f5"


def test_an_account_is_made_once(admin: SandboxAdmin) -> None:
    # given an account with a second calendar, when it is made again, then it is the same
    first = admin.create_account("google", "Ada@Example.com", name="Ada Example", calendars=["Choir"])
    second = admin.create_account("google", ADA, calendars=["Choir"])
    assert first == second
    assert first["calendars"][0]["id"] == ADA
    assert admin.health() == {"status": "ok", "accounts": 1}


def test_an_outside_event_can_have_an_id_of_the_tests_choice_once(admin: SandboxAdmin) -> None:
    # given an outside event with a chosen id
    admin.create_account("google", ADA)
    times = ("2026-06-02T09:00:00Z", "2026-06-02T10:00:00Z")
    assert admin.add_event("google", ADA, *times, id=ID) == ID
    # when another is to have the same, then it is refused
    with pytest.raises(SandboxError, match="409"):
        admin.add_event("google", ADA, *times, id=ID)


def test_a_person_moves_and_deletes_events_in_their_own_calendar(
    google: Google, microsoft: Microsoft, admin: SandboxAdmin
) -> None:
    # given an entry Valet wrote and one it did not, at each provider
    admin.create_account("google", ADA)
    google_client = Google.connected(admin.base_url, google.ca, google.session, ADA)
    google_client.insert(id=ID, extendedProperties={"private": {"booking": "b-1"}})
    graph_id = microsoft.create().json()["id"]
    outside = admin.add_event("google", ADA, "2026-06-02T09:00:00Z", "2026-06-02T10:00:00Z", title="Dentist")
    # when the person moves one, frees another, and deletes the rest
    admin.change_event("google", ADA, outside, start="2026-06-04T09:00:00Z", end="2026-06-04T10:00:00Z", title="Later")
    admin.change_event("microsoft", ADA, graph_id, show_as="free")
    admin.delete_event("google", ADA, ID)
    # then the providers' answers follow
    assert google_client.busy("primary")["primary"]["busy"] == [
        {"start": "2026-06-04T09:00:00Z", "end": "2026-06-04T10:00:00Z"}
    ]
    assert google_client.call("GET", f"/calendars/primary/events/{ID}").json()["status"] == "cancelled"
    assert microsoft.view().json()["value"][0]["showAs"] == "free"
    admin.delete_event("microsoft", ADA, graph_id)
    assert microsoft.view().json()["value"] == []
    # and the whole calendar is shown raw, with who wrote what
    shown = admin.account("google", ADA)
    assert {(event["id"], event["origin"], event["cancelled"]) for event in shown["events"]} == {
        (ID, "api", True),
        (outside, "outside", False),
    }
    assert {event["raw"].get("summary") for event in shown["events"]} == {None, "Later"}
    assert shown["created"] == 1


def test_the_record_shows_names_and_never_a_secret(google: Google, microsoft: Microsoft, admin: SandboxAdmin) -> None:
    # given two sign-ins and some calls
    google.insert(id=ID, summary="Secret plans", extendedProperties={"private": {"booking": "b-1"}})
    microsoft.view(**{"$select": "start,end,showAs"})
    # when the record is read
    entries = admin.requests()
    inserted = next(entry for entry in entries if entry["operation"] == "google.events.insert")
    view = next(entry for entry in entries if entry["operation"] == "microsoft.calendarView")
    # then it names what was asked
    assert (inserted["account"], inserted["status"], inserted["method"]) == (ADA, 200, "POST")
    assert "extendedProperties.private.booking" in inserted["fields"]
    assert "summary" in inserted["fields"]
    assert view["query"]["$select"] == ["start,end,showAs"]
    assert "ImmutableId" in view["headers"]["prefer"]
    # and no token, code, secret or title
    text = str(entries)
    for secret in (
        google.token["access_token"],
        microsoft.token["refresh_token"],
        "Secret plans",
        "made-up-google-secret",
        "b-1",
    ):
        assert secret not in text
    assert not re.search(r"4/0[\w-]{20}|sandbox\.[ar]t\.", text)
    # and it can be read on from a number, and forgotten
    assert admin.requests(since=entries[-2]["number"]) == entries[-1:]
    admin.clear_requests()
    assert admin.requests() == []


@pytest.mark.parametrize(
    ("method", "path", "body", "text"),
    [
        ("POST", "/accounts", {"provider": "apple", "email": ADA}, "apple"),
        ("POST", "/accounts", {"provider": "google", "email": "nobody"}, "email"),
        ("POST", "/accounts", {"provider": "google", "email": ADA, "time_zone": "Mars"}, "Mars"),
        ("POST", "/accounts", {"provider": "google", "email": ADA, "colour": "red"}, "colour"),
        ("POST", "/events", {"provider": "google", "email": "x@example.com", "start": "a", "end": "b"}, "account"),
        ("POST", "/events", {"provider": "google", "email": ADA, "start": "soon", "end": "later"}, "soon"),
        ("POST", "/faults", {"operation": "*", "kind": "flood"}, "flood"),
        ("POST", "/faults", {"operation": "*", "kind": "status", "status": 42}, "status"),
        ("PATCH", "/settings", {"speed": 1}, "speed"),
        ("DELETE", "/events/unknown?provider=google&email=ada@example.com", None, "event"),
    ],
)
def test_a_wrong_order_is_named(
    google: Google, admin: SandboxAdmin, method: str, path: str, body: object, text: str
) -> None:
    # given an order with one thing wrong, when it is sent, then the answer names it
    with pytest.raises(SandboxError, match=text):
        admin._call(method, path, body)


def test_the_browser_says_what_is_missing(admin: SandboxAdmin, ca: str) -> None:
    # given a sandbox without that account, when someone signs in with it, then the helper says so
    admin.create_account("google", "grace@example.com")
    oauth = google_session(ca, ["https://www.googleapis.com/auth/calendar.freebusy"])
    with pytest.raises(BrowserError, match="does not offer that account"):
        approve(google_authorize(admin.base_url, oauth), ADA, ca)
    with pytest.raises(BrowserError, match="no consent page"):
        approve(f"{admin.base_url}/sandbox/health", ADA, ca)


def test_the_browser_goes_on_to_the_apps_callback(admin: SandboxAdmin, ca: str) -> None:
    # given an app whose callback is a page of this very server
    admin.create_account("google", ADA)
    oauth = google_session(
        ca, ["https://www.googleapis.com/auth/calendar.freebusy"], callback=f"{admin.base_url}/sandbox/health"
    )
    # when Ada agrees
    page = approve(google_authorize(admin.base_url, oauth), ADA, ca)
    # then the browser ends there, with the answer in the address
    assert page.json()["status"] == "ok"
    assert "code=" in page.url


def test_the_program_runs_says_when_it_is_ready_and_ends(certificates: tuple[Path, Path, Path], tmp_path: Path) -> None:
    # given the program on a port of its choice
    ca, cert, key = certificates
    ready = tmp_path / "ready"
    command = [
        sys.executable,
        "-m",
        "deploy.sandbox",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--cert",
        str(cert),
        "--key",
        str(key),
    ]
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH")}
    program = subprocess.Popen(
        [*command, "--ready-file", str(ready)], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 10
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        # when it is asked over TLS, then it answers
        url = ready.read_text().strip()
        assert requests.get(f"{url}/sandbox/health", verify=str(ca), timeout=5).json()["status"] == "ok"
    finally:
        # and SIGTERM ends it without an error
        program.send_signal(signal.SIGTERM)
        output, _ = program.communicate(timeout=10)
    assert (program.returncode, "calendar sandbox at https://127.0.0.1:" in output) == (0, True)


def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    # given no such file, when the program starts, then it says which
    command = [
        sys.executable,
        "-m",
        "deploy.sandbox",
        "--cert",
        str(tmp_path / "no.pem"),
        "--key",
        str(tmp_path / "no.key"),
    ]
    program = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert program.returncode == 2
    assert "--cert: there is no file" in program.stderr


def test_an_insert_is_quick_and_stays_so(google: Google, admin: SandboxAdmin) -> None:
    # given a calendar that fills up
    def seconds_for(count: int, offset: int) -> float:
        began = time.process_time()  # of the client and the sandbox, which runs in this process; not of the neighbours
        for number in range(offset, offset + count):
            assert google.insert(id=f"{number:06d}").status_code == 200
        return time.process_time() - began

    first = seconds_for(200, 0)
    # when the same is done on top of it, then it costs about as much, and a few milliseconds each at the worst
    second = seconds_for(200, 200)
    assert max(first, second) / 200 < 0.02
    assert second < 3 * first + 0.2
    assert admin.account("google", ADA)["created"] == 400


def test_addresses_the_sandbox_does_not_play_are_recorded_too(
    google: Google, microsoft: Microsoft, admin: SandboxAdmin
) -> None:
    # given addresses beyond what is played, when they are asked
    answers = [
        google.call("GET", "/users/me/calendarList"),
        google.call("PUT", f"/calendars/primary/events/{ID}", {}),
        microsoft.call("GET", "/me/messages"),
    ]
    # then they answer in the provider's shape, and stand in the record
    assert [answer.status_code for answer in answers] == [404, 404, 400]
    assert all("error" in answer.json() for answer in answers)
    unknown = [
        (entry["operation"], entry["method"], entry["path"])
        for entry in admin.requests()
        if "unknown" in entry["operation"]
    ]
    assert unknown == [
        ("google.unknown", "GET", "/google/calendar/v3/users/me/calendarList"),
        ("google.unknown", "PUT", f"/google/calendar/v3/calendars/primary/events/{ID}"),
        ("microsoft.unknown", "GET", "/graph/v1.0/me/messages"),
    ]


def test_a_body_nested_too_deeply_is_refused(google: Google) -> None:
    # given a body of brackets, when it is sent, then it is not JSON to the sandbox, and it goes on
    url = f"{google.base}/google/calendar/v3/freeBusy"
    headers = {"authorization": f"Bearer {google.token['access_token']}", "content-type": "application/json"}
    assert google.session.post(url, b"[" * 100_000, headers=headers, timeout=5).status_code == 400
    assert google.busy("primary")

"""Every kind of fault, seen from a client, and what it leaves behind in the calendar."""

import time

import pytest
import requests

from deploy.sandbox.client import SandboxAdmin
from tests.contract.sandbox.clients import Google, Microsoft
from tests.contract.sandbox.conftest import ADA

ID = "fa0b1c2d3e4f5"
TIMES = {"start": {"dateTime": "2026-06-01T09:00:00Z"}, "end": {"dateTime": "2026-06-01T10:00:00Z"}}


def _count(admin: SandboxAdmin, provider: str = "google") -> int:
    return int(admin.account("google" if provider == "google" else "microsoft", ADA)["created"])


def test_a_status_comes_as_often_as_ordered_in_the_providers_shape(google: Google, admin: SandboxAdmin) -> None:
    # given two rate limits and a server error after them
    admin.add_fault("google.events.insert", "status", status=403, reason="rateLimitExceeded", count=2)
    admin.add_fault("*", "status", provider="google", status=500, count=1)
    # when an event is inserted four times
    answers = [google.insert(id=ID) for _ in range(4)]
    # then the faults come first, and had no effect
    assert [answer.status_code for answer in answers] == [403, 403, 500, 200]
    assert answers[0].json()["error"]["errors"][0] == {
        "domain": "usageLimits",
        "reason": "rateLimitExceeded",
        "message": "Backend Error",
    }
    assert [fault["struck"] for fault in admin.faults()] == [2, 1]


def test_a_429_says_when_to_come_back(microsoft: Microsoft, admin: SandboxAdmin) -> None:
    # given throttling at Microsoft
    admin.add_fault(
        "microsoft.calendarView", "status", status=429, reason="ApplicationThrottled", retry_after=7, count=1
    )
    # when the view is read
    answer = microsoft.view()
    # then the answer names the time and the code
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json()["error"]["code"] == "ApplicationThrottled"
    assert microsoft.view().status_code == 200


def test_a_fault_may_have_an_effect_all_the_same(google: Google, admin: SandboxAdmin) -> None:
    # given a server error that comes after the event was stored
    admin.add_fault("google.events.insert", "status", status=500, effect=True, count=1)
    # when the insert is tried twice
    assert google.insert(id=ID).status_code == 500
    # then the second try finds it there
    assert google.insert(id=ID).status_code == 409


@pytest.mark.parametrize(("kind", "made"), [("timeout-before", 0), ("timeout-after", 1)])
def test_a_timeout_leaves_the_effect_or_not(google: Google, admin: SandboxAdmin, kind: str, made: int) -> None:
    # given an insert that hangs
    admin.add_fault("google.events.insert", "timeout-before" if made == 0 else "timeout-after", seconds=20, count=1)
    # when the client gives up
    with pytest.raises(requests.exceptions.ReadTimeout):
        google.call("POST", "/calendars/primary/events", TIMES, timeout=0.3)
    # then the event is there, or not
    assert _count(admin) == made
    assert admin.requests("google.events.insert")[0]["fault"] == kind


def test_a_hang_ends_by_a_cut_connection(google: Google, admin: SandboxAdmin) -> None:
    # given a hang of a fifth of a second, when a call is made
    admin.add_fault("google.freeBusy", "timeout-before", seconds=0.2, count=1)
    began = time.monotonic()
    with pytest.raises(requests.exceptions.ConnectionError):
        google.call("POST", "/freeBusy", {})
    # then the connection breaks after that time
    assert 0.2 <= time.monotonic() - began < 3


@pytest.mark.parametrize(("kind", "made"), [("drop-before", 0), ("drop-after", 1)])
def test_a_dropped_connection_leaves_the_effect_or_not(
    microsoft: Microsoft, admin: SandboxAdmin, kind: str, made: int
) -> None:
    # given a connection that breaks
    admin.add_fault("microsoft.events.create", "drop-before" if made == 0 else "drop-after", count=1)
    # when an event is created
    with pytest.raises(requests.exceptions.ConnectionError):
        microsoft.create()
    # then it is there, or not
    assert _count(admin, "microsoft") == made
    assert admin.requests("microsoft.events.create")[0]["fault"] == kind


@pytest.mark.parametrize(("kind", "made"), [("truncated", 1), ("garbage", 0)])
def test_an_answer_that_is_not_json(google: Google, admin: SandboxAdmin, kind: str, made: int) -> None:
    # given an answer that breaks off, or never was JSON
    admin.add_fault("google.events.insert", "truncated" if made else "garbage", count=1)
    # when an event is inserted
    answer = google.insert(id=ID)
    # then it looks like a success that cannot be read
    assert answer.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()
    assert _count(admin) == made


def test_a_body_may_come_byte_by_byte(google: Google, admin: SandboxAdmin) -> None:
    # given a body that takes a second a byte
    admin.add_fault("google.freeBusy", "slow-body", count=1)
    # when it is read for half a second
    answer = google.call(
        "POST", "/freeBusy", {"timeMin": "2026-06-01T00:00:00Z", "timeMax": "2026-06-02T00:00:00Z"}, stream=True
    )
    began = time.monotonic()
    first = answer.raw.read(1)
    answer.close()
    # then a byte has come, and not the rest
    assert first == b"{"
    assert time.monotonic() - began < 1


def test_a_redirect_leads_elsewhere(microsoft: Microsoft, admin: SandboxAdmin) -> None:
    # given a redirect to another host, when the view is read, then it says where to
    admin.add_fault("microsoft.*", "redirect", location="https://elsewhere.example.com/x", count=1)
    answer = microsoft.view()
    assert (answer.status_code, answer.headers["location"]) == (302, "https://elsewhere.example.com/x")


def test_a_body_may_be_huge(microsoft: Microsoft, admin: SandboxAdmin) -> None:
    # given a body of two megabytes, when the view is read, then it is that long
    admin.add_fault("microsoft.calendarView", "huge", size=2_000_000, count=1)
    assert len(microsoft.view().content) > 1_900_000


def test_a_fault_may_spare_some(google: Google, admin: SandboxAdmin) -> None:
    # given faults for someone else, for later calls, and by chance with a seed
    admin.add_fault("google.freeBusy", "status", account="grace@example.com")
    late = admin.add_fault("google.freeBusy", "status", skip=2)
    body = {"timeMin": "2026-06-01T00:00:00Z", "timeMax": "2026-06-02T00:00:00Z"}
    # when calls are made
    assert [google.call("POST", "/freeBusy", body).status_code for _ in range(4)] == [200, 200, 503, 503]
    # then clearing one switches it off, and the same seed gives the same draw
    admin.clear_faults(late)
    draws = []
    for _ in range(2):
        fault = admin.add_fault("google.freeBusy", "status", probability=0.5, seed=7)
        draws.append([google.call("POST", "/freeBusy", body).status_code for _ in range(12)])
        admin.clear_faults(fault)
    assert draws[0] == draws[1]
    assert set(draws[0]) == {200, 503}


def test_faults_reach_discovery_and_token_too(
    microsoft: Microsoft, admin: SandboxAdmin, session: requests.Session
) -> None:
    # given a token endpoint that is down, when it is asked, then the error is OAuth's
    admin.add_fault("microsoft.token", "status", status=503, retry_after=1)
    answer = session.post(f"{microsoft.base}/common/oauth2/v2.0/token", {"grant_type": "refresh_token"}, timeout=5)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    admin.add_fault("microsoft.discovery", "status", status=500, reason="oops", count=1)
    assert session.get(f"{microsoft.base}/common/v2.0/.well-known/openid-configuration", timeout=5).status_code == 500

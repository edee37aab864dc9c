"""What really goes over the wire: what is asked of each provider, and deadlines against hostile answers."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from libs.config.settings import Settings
from libs.providers.egress import Door
from libs.providers.errors import EgressRefused, GrantDead, RateLimited, TryLater, Unreachable
from libs.providers.google import GoogleCalendar
from libs.providers.port import Busy, Interval, Unreadable
from tests.contract.providers.rigs import DAY, at, entry
from tests.contract.providers.sandbox_rigs import GoogleRig, MicrosoftRig, SandboxRig

WINDOW = Interval(DAY, DAY + timedelta(days=1))


@pytest.fixture(params=["google", "microsoft"])
def rig(request: pytest.FixtureRequest) -> SandboxRig:
    """Both clients in turn."""
    found: SandboxRig = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("kind", ["not-offered", "refused"])
def test_what_cannot_be_removed_for_good_is_removed_all_the_same(rig: SandboxRig, kind: str) -> None:
    # given an entry, and a provider that does not offer what removing for good takes, or will not have it
    wanted = entry(at(10), at(11))
    placed = rig.port.put(rig.token, rig.calendar, wanted)
    rig.fault("purge", "refused" if rig.provider == "google" else kind)
    # when it is removed for good, then it is gone
    gone = replace(wanted, remote_id=placed.remote_id, tried_before=True)
    assert rig.port.remove(rig.token, rig.calendar, gone, for_good=True) is True
    assert rig.ours() == []
    # and what could be taken out of it is
    assert rig.in_bin() == (["Ada Example", "Booked through Valet"] if rig.provider == "google" else [])


def test_graph_is_asked_to_pass_by_the_deleted_items(microsoft: MicrosoftRig) -> None:
    wanted = entry(at(10), at(11))
    placed = microsoft.port.put(microsoft.token, microsoft.calendar, wanted)
    gone = replace(wanted, remote_id=placed.remote_id, tried_before=True)
    assert microsoft.port.remove(microsoft.token, microsoft.calendar, gone, for_good=True)
    assert microsoft.admin.account("microsoft", microsoft.email)["bin"] == []


def test_passing_trouble_leaves_what_is_to_be_removed_for_good_for_the_next_try(rig: SandboxRig) -> None:
    wanted = entry(at(10), at(11))
    placed = rig.port.put(rig.token, rig.calendar, wanted)
    gone = replace(wanted, remote_id=placed.remote_id, tried_before=True)
    rig.fault("patch", "busy-signal")
    with pytest.raises(RateLimited):
        rig.port.remove(rig.token, rig.calendar, gone, for_good=True)
    assert rig.port.remove(rig.token, rig.calendar, gone, for_good=True) is True
    assert rig.in_bin() == []


def asked(rig: SandboxRig) -> list[dict[str, Any]]:
    return [r for r in rig.admin.requests() if r["operation"].split(".")[1] not in ("authorize", "token", "discovery")]


def test_no_title_is_ever_asked_for(rig: SandboxRig) -> None:
    rig.outside(at(9), at(10))
    rig.admin.clear_requests()
    rig.port.busy(rig.token, [rig.calendar], WINDOW)
    wanted = entry(at(10), at(11))
    rig.port.put(rig.token, rig.calendar, wanted)
    rig.port.put(rig.token, rig.calendar, entry(at(11), at(12), tried_before=True))
    rig.port.remove(rig.token, rig.calendar, entry(at(10), at(11), tried_before=True))
    seen = asked(rig)
    assert len(seen) >= 5
    for request in seen:
        query = {name: values[0] for name, values in request["query"].items()}
        if request["method"] in ("POST", "PATCH") and rig.provider == "google" and "events" in request["operation"]:
            assert query == {"sendUpdates": "none", "fields": "id,status,start,end,extendedProperties/private"}
        elif request["operation"] == "microsoft.calendarView":
            assert query["$select"] == "start,end,showAs"
        elif request["operation"] == "microsoft.events.list":
            assert query["$select"] == "id,start,end"
        elif request["operation"] == "google.events.get":
            assert query == {"fields": "id,status,start,end,extendedProperties/private"}
        if rig.provider == "microsoft":
            assert request["headers"]["prefer"] == 'IdType="ImmutableId", outlook.timezone="UTC"'
    assert "microsoft.getSchedule" not in {request["operation"] for request in seen}


def test_nobody_is_told_by_mail(google: GoogleRig) -> None:
    google.port.put(google.token, "primary", entry(at(10), at(11)))
    google.port.remove(google.token, "primary", entry(at(10), at(11), tried_before=True))
    assert google.admin.account("google", google.email)["notifications"] == []


def test_google_long_windows_and_many_calendars_are_split_and_joined(google: GoogleRig) -> None:
    for day in (1, 59.9, 61, 125):
        google.outside(DAY + timedelta(days=day), DAY + timedelta(days=day, hours=6))
    names = ["primary", *(f"c{n}@example.com" for n in range(60))]
    found = google.port.busy(google.token, names, Interval(DAY, DAY + timedelta(days=130)))
    mine = found["primary"]
    assert isinstance(mine, Busy)
    assert len(mine.intervals) == 4
    assert set(found) == set(names)
    assert all(found[name] == Unreadable("calendar-not-found") for name in names[1:])
    assert len(google.admin.requests("google.freeBusy")) == 6


def test_google_an_error_inside_a_200_makes_that_calendar_unknown(google: GoogleRig) -> None:
    main = google.admin.account("google", google.email)["calendars"]
    google.admin.add_fault("google.freeBusy", "calendar-error", calendar=main[1]["id"], reason="backendError")
    found = google.port.busy(google.token, ["primary", main[1]["id"]], WINDOW)
    assert isinstance(found["primary"], Busy)
    assert found[main[1]["id"]] == Unreadable("calendar-error")


def test_google_a_deleted_entry_is_not_resurrected_even_without_memory(google: GoogleRig) -> None:
    wanted = entry(at(10), at(11))
    placed = google.port.put(google.token, "primary", wanted)
    google.host_deletes(placed.remote_id, wanted)
    for tried in (False, True):
        with pytest.raises(Exception, match="cancelled"):
            google.port.put(google.token, "primary", entry(at(10), at(11), tried_before=tried))
    assert google.ours() == []


@pytest.mark.parametrize(
    ("reason", "kind", "pause"),
    [("rateLimitExceeded", RateLimited, None), ("quotaExceeded", RateLimited, 3600), ("insufficientPermissions", GrantDead, None)],
)  # fmt: skip
def test_google_403_by_reason(google: GoogleRig, reason: str, kind: type[Exception], pause: float | None) -> None:
    google.admin.add_fault("google.events.insert", "status", status=403, reason=reason, count=1)
    with pytest.raises(kind) as caught:
        google.port.put(google.token, "primary", entry(at(10), at(11)))
    assert getattr(caught.value, "retry_after", None) == pause


def test_google_does_not_patch_what_stands_as_it_should(google: GoogleRig) -> None:
    google.port.put(google.token, "primary", entry(at(10), at(11)))
    google.port.put(google.token, "primary", entry(at(10), at(11), tried_before=True))
    assert google.admin.requests("google.events.patch") == []
    google.port.put(google.token, "primary", entry(at(10), at(11), tried_before=True, description="Other"))
    assert len(google.admin.requests("google.events.patch")) == 1


@pytest.mark.parametrize(
    ("show_as", "busy"), [("free", False), ("workingElsewhere", False), ("tentative", True), ("oof", True)]
)
def test_graph_what_counts_as_busy(microsoft: MicrosoftRig, show_as: str, busy: bool) -> None:
    microsoft.outside(at(9), at(10), show_as=show_as)
    found = microsoft.port.busy(microsoft.token, ["primary"], WINDOW)["primary"]
    assert isinstance(found, Busy)
    assert bool(found.intervals) == busy


def test_graph_all_day_entries_are_busy(microsoft: MicrosoftRig) -> None:
    microsoft.admin.add_event("microsoft", microsoft.email, "2030-05-06", "2030-05-07", all_day=True)
    found = microsoft.port.busy(microsoft.token, ["primary"], WINDOW)["primary"]
    assert isinstance(found, Busy)
    assert found.intervals == (WINDOW,)


def test_graph_every_page_is_read(microsoft: MicrosoftRig) -> None:
    for n in range(450):
        microsoft.outside(at(n / 20), at(n / 20 + 0.02))
    found = microsoft.port.busy(microsoft.token, ["primary"], WINDOW)["primary"]
    assert isinstance(found, Busy)
    assert len(found.intervals) == 450
    assert len(microsoft.admin.requests("microsoft.calendarView")) == 3


def test_graph_a_page_that_is_lost_leaves_the_calendar_unknown(microsoft: MicrosoftRig) -> None:
    for n in range(250):
        microsoft.outside(at(n / 20), at(n / 20 + 0.02))
    microsoft.admin.add_fault("microsoft.calendarView", "status", status=503, skip=1, retry_after=3)
    with pytest.raises(Unreachable) as caught:
        microsoft.port.busy(microsoft.token, ["primary"], WINDOW)
    assert caught.value.retry_after == 3


@pytest.mark.parametrize(
    ("kind", "label"), [("slow-body", "timed-out"), ("huge", "answer-too-large"), ("redirect", "redirected")]
)
def test_hostile_answers_end_at_the_deadline(rig: SandboxRig, kind: Any, label: str) -> None:
    rig.outside(at(9), at(10))
    rig.admin.add_fault(rig.operations["busy"], kind, count=1)
    began = time.monotonic()
    with pytest.raises(Unreachable, match=label):
        rig.port.busy(rig.token, [rig.calendar], WINDOW)
    assert time.monotonic() - began < 1.6


def serve(certificate: tuple[Path, Path], answer: Callable[[ssl.SSLSocket], None]) -> Any:
    @contextmanager
    def listening() -> Iterator[int]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def run() -> None:
                try:
                    with context.wrap_socket(listener.accept()[0], server_side=True) as client:
                        client.recv(65_536)
                        answer(client)
                except OSError:
                    pass

            threading.Thread(target=run, daemon=True).start()
            yield listener.getsockname()[1]

    return listening()


def google_at(port: int, settings: Settings, **changes: Any) -> GoogleCalendar:
    there = settings.model_copy(update={"google_api_url": f"https://localhost:{port}/calendar/v3", **changes})
    return GoogleCalendar(Door(there), there)


def test_headers_that_drip_meet_the_deadline(certificate: tuple[Path, Path], settings: Settings) -> None:
    def drip(client: ssl.SSLSocket) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 100:
            client.send(bytes([byte]))
            time.sleep(0.1)

    began = time.monotonic()
    with serve(certificate, drip) as port, pytest.raises(Unreachable, match="timed-out"):
        google_at(port, settings).busy("t", ["primary"], WINDOW)
    assert time.monotonic() - began < 1.6


def test_a_certificate_that_is_not_trusted_ends_it(certificate: tuple[Path, Path], settings: Settings) -> None:
    with serve(certificate, lambda _: None) as port, pytest.raises(Unreachable, match="tls-failed"):
        google_at(port, settings, ca_bundle=None).busy("t", ["primary"], WINDOW)


def test_nobody_listening_is_told_apart_and_not_read_back(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(TryLater, match="no-connection"):
        google_at(port, settings).put("t", "primary", entry(at(10), at(11)))


def test_a_next_page_elsewhere_is_not_followed(certificate: tuple[Path, Path], settings: Settings) -> None:
    from libs.providers.microsoft import MicrosoftCalendar

    body = json.dumps({"value": [], "@odata.nextLink": "https://elsewhere.example.com/v1.0/me/messages"}).encode()

    def answer(client: ssl.SSLSocket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        client.recv(1)

    before = _refused("microsoft", "calendarview.list")
    with serve(certificate, answer) as port:
        there = settings.model_copy(update={"microsoft_graph_url": f"https://localhost:{port}/v1.0"})
        with pytest.raises(EgressRefused):
            MicrosoftCalendar(Door(there), there).busy("t", ["primary"], WINDOW)
    assert _refused("microsoft", "calendarview.list") == before + 1


def _refused(provider: str, operation: str) -> float:
    return (
        REGISTRY.get_sample_value("valet_egress_refused_total", {"provider": provider, "operation": operation}) or 0.0
    )

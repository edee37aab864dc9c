"""What goes wrong around the site, and what strangers try: answered in words, soon, and within bounds."""

import json
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import requests
from joserfc.jwk import ECKey
from kombu import Connection, Message

from example_site import bus, sealing, settings
from example_site.bus import Bus, BusTrouble
from example_site.listening import Listener, rightly
from example_site.memory import FORMS, Memory
from example_site.sealing import Seal, SealUnavailable
from example_site.settings import BadSettings
from tests.unit.example_site.doubles import SOURCE, Site
from tests.unit.example_site.test_booking import TIMES, send

ENDS = ["9999-12-31T23:59Z", "0001-01-01T00:00%2B14:00", "9999-12-31T00:00-14:00", "0001-01-01T00:00Z"]


@pytest.mark.parametrize("start", ENDS)
def test_times_at_the_ends_of_the_calendar_are_none(start: str) -> None:
    # given a booking that stands
    site = Site()
    asked = send(site)
    site.hear("booking-confirmed", site.bus.events()[0]["id"], 2, **TIMES)
    [move] = site.get(asked.goes_to).links("/move/")
    # when addresses carry a time that no clock can add an hour to, then it is as if they carried none
    assert site.get(f"/dr-example/book?start={start}").status == 303
    assert site.get(f"/dr-example?from={start}").status == 200
    page = site.get(f"{move}?start={start}")
    assert page.status == 200
    assert "Move there?" not in page.text


def test_a_method_that_is_not_taken_says_which_is() -> None:
    page = Site()._call("PUT", "/dr-example", b"", {})
    assert page.status == 405
    assert "GET" in page.headers["allow"]


def test_a_form_that_a_restart_forgot_does_not_say_that_nothing_is_booked() -> None:
    # given a form that is sent again after a restart, when Valet says that it knows the request with other content
    site = Site()
    asked = send(site)
    site.hear("booking-rejected", site.bus.events()[0]["id"], 0, reason="identity-reused")
    # then the page does not claim that there is no booking
    page = site.get(asked.goes_to)
    assert "Sent before" in page.text
    assert "what you sent first counts" in page.text
    assert "Not booked" not in page.text


def test_a_flood_of_forms_is_forgotten_again() -> None:
    memory = Memory(SOURCE)
    for number in range(FORMS + 100):
        memory.first(f"{number:032x}", "a link")
    assert len(memory._forms) == FORMS
    assert memory.link_of(f"{FORMS + 99:032x}") == "a link"


class Broken:
    """A bus to which every connection fails in a way that nobody foresaw."""

    def __init__(self) -> None:
        self.opened = 0

    def open(self, heartbeat: int = 0) -> Connection:
        self.opened += 1
        raise RuntimeError("nobody foresaw this")


def test_the_listener_goes_on_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("example_site.listening.PAUSES", (0.01,))
    broken = Broken()
    listener = Listener(cast(Bus, broken), "site", Memory(SOURCE))
    listener.start()
    deadline = time.monotonic() + 10
    while broken.opened < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert broken.opened >= 3
    assert not listener.ready.is_set()
    listener.end()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"[" * 100_000,
        b'{"type": "booking-confirmed"}',
        json.dumps({"type": "booking-held", "traceparent": "a-b-c-d", "data": []}).encode(),
        json.dumps(
            {
                "type": "booking-confirmed",
                "data": {
                    "booking": "bk",
                    "version": 2,
                    "request": {"source": SOURCE, "id": "r"},
                    "start": 5,
                    "end": [],
                },
            }
        ).encode(),
    ],
)
def test_a_message_that_is_none_is_passed_over(body: bytes) -> None:
    acknowledged = []
    info = {"exchange": "events", "routing_key": "booking-confirmed"}
    message = SimpleNamespace(body=body, ack=lambda: acknowledged.append(True), delivery_info=info, headers={})
    Listener(cast(Bus, Broken()), "site", Memory(SOURCE))._hear(cast(Message, message))
    assert acknowledged == [True]


class Away:
    """Valet's page of keys: what it answers, or what happens when it is asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self.keys: dict[str, Any] | None = None
        self.slow = 0.0
        monkeypatch.setattr(requests, "get", self._get)

    def _get(self, *_: Any, **__: Any) -> Any:
        self.asked += 1
        time.sleep(self.slow)
        if self.keys is None:
            raise requests.ConnectTimeout
        return SimpleNamespace(raise_for_status=lambda: None, json=lambda: self.keys)


def test_visitors_do_not_queue_up_behind_a_valet_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a Valet that lets everybody wait
    valet = Away(monkeypatch)
    valet.slow = 0.3
    seal = Seal("https://valet.example", "ca.pem", 1)

    def visit() -> None:
        with pytest.raises(SealUnavailable):
            seal({})

    # when many come at once, then all together wait as long as one
    began = time.monotonic()
    visitors = [threading.Thread(target=visit) for _ in range(20)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(20)
    assert time.monotonic() - began < 3
    assert valet.asked == 1
    # and it is tried again after a while
    monkeypatch.setattr(sealing, "PAUSE", 0.0)
    valet.keys = {"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}
    assert seal({}).count(".") == 4


def test_an_old_key_serves_while_no_newer_is_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    valet = Away(monkeypatch)
    valet.keys = {"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}
    seal = Seal("https://valet.example", "ca.pem", 1)
    seal({})
    valet.keys = None
    monkeypatch.setattr(sealing, "DAY", -1.0)
    assert seal({}).count(".") == 4
    assert valet.asked == 2


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    """A bus on which work lasts until the test is over."""
    monkeypatch.setattr(bus, "MOST", 2)
    monkeypatch.setattr(bus, "ROOM_WITHIN", 0.1)
    made, over = Bus("amqps://site:word@localhost/valet", "", 5), threading.Event()
    monkeypatch.setattr(made, "open", lambda: over.wait(10) and None)
    yield made
    over.set()


def test_a_silent_bus_does_not_take_every_thread(silent: Bus) -> None:
    # given as many who wait for the bus as may
    waiting = [threading.Thread(target=lambda: _tried(silent), daemon=True) for _ in range(2)]
    for one in waiting:
        one.start()
    deadline = time.monotonic() + 5
    while silent._room._value > 0 and time.monotonic() < deadline:  # nothing public tells
        time.sleep(0.01)
    # when one more comes, then it is told so at once
    began = time.monotonic()
    with pytest.raises(BusTrouble, match="too many"):
        silent.publish("booking-requested", b"")
    assert time.monotonic() - began < 2


def _tried(silent: Bus) -> None:
    with pytest.raises((BusTrouble, AttributeError)):
        silent.publish("booking-requested", b"")


@pytest.mark.parametrize("host", ["", "../status", "Dr Example", "a?b", "x" * 65])
def test_a_host_that_cannot_be_one_is_a_wrong_setting(host: str) -> None:
    with pytest.raises(BadSettings, match="host must be a name"):
        settings._hosts({"SITE_HOSTS": json.dumps([{"host": host, "name": "Dr. Example"}])})


@pytest.mark.parametrize(
    ("exchange", "key", "headers"),
    [
        ("", "site", {}),
        ("events", "booking-requested", {}),
        ("amq.topic", "booking-confirmed", {}),
        ("events", "booking-confirmed", {"x-death": [{"queue": "somebody.else"}]}),
    ],
)
def test_a_fact_that_came_another_way_is_not_believed(exchange: str, key: str, headers: dict[str, Any]) -> None:
    info = {"exchange": exchange, "routing_key": key}
    believed = {"exchange": "events", "routing_key": "booking-confirmed"}
    assert not rightly(cast(Message, SimpleNamespace(delivery_info=info, headers=headers)), "booking-confirmed")
    assert rightly(cast(Message, SimpleNamespace(delivery_info=believed, headers={})), "booking-confirmed")

"""Bad input gets an answer with its own reason; nothing stops, nothing is lost, nothing personal is logged."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from libs.contracts import codec
from libs.messaging.publisher import Outgoing
from tests.e2e.world import Heard, World, dead_letters, envelope, hear, tomorrow

START = tomorrow()


def at(minutes: int) -> str:
    return (START + timedelta(minutes=minutes)).isoformat()


REJECTED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown host": ({"host": "nobody-here"}, "unknown-host"),
    "malformed": ({"start": 17}, "malformed-request"),
    "unknown field": ({"tittle": "Map reading"}, "malformed-request"),
    "operator injected": ({"host": {"$ne": None}}, "malformed-request"),
    "no invitee": ({"invitee": None}, "malformed-request"),
    "time without offset": ({"start": "2031-01-01T09:00:00"}, "time-without-offset"),
    "end before start": ({"end": at(-30)}, "end-before-start"),
    "off the grid": ({"start": at(2)}, "off-grid"),
    "in the past": ({"start": "2020-01-01T09:00:00Z", "end": "2020-01-01T09:30:00Z"}, "in-the-past"),
    "too long": ({"end": at(60 * 24)}, "too-long"),
    "too far ahead": ({"start": "2900-01-01T09:00:00Z", "end": "2900-01-01T09:30:00Z"}, "too-far-ahead"),
    "edge of time": ({"start": "0001-01-01T00:00:00+14:00", "end": "0001-01-01T00:30:00+14:00"}, "malformed-request"),
    "unknown zone": (
        {"invitee": {"name": "Ada Canary", "email": "canary@example.com", "time_zone": "Mars/Olympus"}},
        "unknown-time-zone",
    ),
    "not an address": (
        {"invitee": {"name": "Ada Canary", "email": "canary at example", "time_zone": "UTC"}},
        "invalid-email",
    ),
    "not sealed for us": ({"invitee": None, "sealed": "eyJh.b.c.d.e"}, "seal-unreadable"),
}


@pytest.mark.parametrize("case", list(REJECTED))
def test_a_bad_request_is_rejected_with_its_reason(world: World, names: str, case: str) -> None:
    # given a request with one thing wrong
    changes, reason = REJECTED[case]
    request, heard = world.request(f"host-{names}", START, **changes), Heard()
    request["data"] = {name: value for name, value in request["data"].items() if value is not None}
    # when it is sent
    with world.tap("booking-rejected") as tap:
        world.emit([request])
        hear(tap, heard, lambda h: h.outcome(request["id"]), 15)
    # then its outcome names what is wrong
    outcome = heard.outcome(request["id"])
    assert outcome is not None
    assert outcome["data"]["reason"] == reason


def test_a_host_that_has_not_connected_is_named_so(world: World, names: str) -> None:
    # given a host with a connect link, not yet used
    world.ask("auth", "connect_link", f"host-{names}", None)
    request, heard = world.request(f"host-{names}", START), Heard()
    # when a time of theirs is requested
    with world.tap("booking-rejected") as tap:
        world.emit([request])
        hear(tap, heard, lambda h: h.outcome(request["id"]), 15)
    # then
    outcome = heard.outcome(request["id"])
    assert outcome is not None
    assert outcome["data"]["reason"] == "host-not-connected"


def test_an_identity_used_again_for_something_else_is_rejected(world: World, names: str) -> None:
    # given a confirmed booking
    host = f"host-{names}"
    world.connect(host, "google")
    request, heard = world.request(host, START), Heard()
    with world.tap() as tap:
        world.emit([request])
        assert hear(tap, heard, lambda h: h.of("calendar-event-written"), 20)
        first = heard.outcome(request["id"])
        # when the same identity comes with another time
        other = {**request, "data": {**request["data"], "start": at(60), "end": at(90)}}
        world.emit([other])
        assert hear(tap, heard, lambda h: h.of("booking-rejected"), 15)
    # then that is rejected under a booking of its own, and the first one stands
    (rejection,) = heard.of("booking-rejected")
    assert first is not None
    assert rejection["data"]["reason"] == "identity-reused"
    assert rejection["data"]["booking"] != first["data"]["booking"]
    assert world.journeys([first["data"]["booking"]])[first["data"]["booking"]]["state"] == "confirmed"


BIG = 300_000
BODIES: dict[str, tuple[bytes, str, dict[str, Any], str]] = {
    "not json": (b'{"Ada Canary', codec.STRUCTURED, {}, "not-a-cloudevent"),
    "no envelope": (b'{"name": "Ada Canary"}', codec.STRUCTURED, {}, "not-a-cloudevent"),
    "deep": (b'{"a":' * 5000 + b"}" * 5000, codec.STRUCTURED, {}, "not-a-cloudevent"),
    "pickle": (b"\x80\x04Ada Canary", "application/x-python-serialize", {}, "unsupported-content-type"),
    "compressed": (b"x\x9cAda Canary", codec.STRUCTURED, {"compression": "application/x-gzip"}, "compressed"),
    "oversized": (b'"' + b"A" * BIG + b'"', codec.STRUCTURED, {}, "too-large"),
    "unknown type": (
        json.dumps(envelope("booking-wished", {"name": "Ada Canary"})).encode(),
        codec.STRUCTURED,
        {},
        "unknown-type",
    ),
}


@pytest.mark.parametrize("case", list(BODIES))
def test_what_names_no_booking_becomes_a_dead_letter(world: World, case: str) -> None:
    # given a message that cannot be read
    body, content_type, headers, reason = BODIES[case]
    dead_letters(world)
    # when it is sent as a request
    world.emitter.publish([Outgoing("events", "booking-requested", body, content_type, headers, mandatory=True)])
    # then it waits as a dead letter with its reason, and its content is not to be read there
    (letter,) = dead_letters(world, wait=10)
    assert letter.reason == reason
    assert b"Ada Canary" not in msgspec.json.encode(letter)  # three letters alone come up by chance where it is sealed
    assert letter.body is None
    assert (letter.sealed is None) == (case == "oversized")


ERASURES: dict[str, dict[str, Any]] = {
    "invalid-email": {"email": "canary at example"},
    "malformed-request": {"email": "canary@example.com", "name": "Ada Canary"},
    "seal-unreadable": {"sealed": "eyJh.b.c.d.e"},
}


def test_a_bad_request_to_erase_is_refused_with_its_reason(world: World) -> None:
    # given requests to erase with one thing wrong each
    asked, heard = {reason: envelope("erasure-requested", data) for reason, data in ERASURES.items()}, Heard()
    # when they are sent, and then once more
    with world.tap("erasure-refused") as tap:
        world.emit(list(asked.values()))
        assert hear(tap, heard, lambda h: len(h.events) >= len(asked), 30)
        world.emit(list(asked.values()))
        assert hear(tap, heard, lambda h: len(h.events) >= 2 * len(asked), 30)
    # then each refusal names what is wrong, and is the same both times
    reasons = {event["data"]["request"]["id"]: event["data"]["reason"] for event in heard.events}
    assert reasons == {request["id"]: reason for reason, request in asked.items()}
    assert len({event["id"] for event in heard.events}) == len(asked)


def test_no_log_and_no_metric_says_who(world: World) -> None:
    # given all that the tests above have sent
    logs = "\n".join(Path(str(part["log"])).read_text(errors="replace") for part in world.stack.status().values())
    probes = [url for name, url in world.stack.urls().items() if name.startswith("probes-")]
    metrics = "\n".join(requests.get(f"{url}/metrics", verify=world.ca, timeout=10).text for url in probes)
    # then no log line and no metric holds a name or an address
    assert "valet_events_handled_total" in metrics
    for canary in ("Canary", "canary@example.com", "ada@example.com", "Ada Example"):
        assert canary not in logs
        assert canary not in metrics

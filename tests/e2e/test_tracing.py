"""One booking, followed through every service: by its trace in the logs, by its spans at the collector, by what is measured."""

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.collector import Collector, Kept
from tests.e2e.world import Heard, World, hear, tomorrow

CANARY = "Canary of the tracing test"
SERVICES = ("auth", "availability", "booking", "calendar-writer")
EXPECTED = {
    ("booking", "consume booking-requested"),
    ("availability", "consume booking-held"),
    ("availability", "ask auth.access_tokens"),
    ("auth", "answer auth.access_tokens"),
    ("availability", "google freebusy.query"),
    ("booking", "consume hold-approved"),
    ("calendar-writer", "consume booking-confirmed"),
    ("calendar-writer", "ask booking.details"),
    ("booking", "answer booking.details"),
    ("calendar-writer", "google events.insert"),
    ("booking", "consume calendar-event-written"),
    ("booking", "mongodb insert"),
}
LABELS = {
    *("messaging.system", "messaging.operation.type", "messaging.destination.name", "messaging.batch.message_count"),
    *("rpc.system", "rpc.method", "db.system.name", "db.operation.name", "http.response.status_code"),
    *("valet.event.type", "valet.booking", "valet.attempt", "valet.outcome", "valet.reason"),
    *("valet.provider", "valet.operation"),
}


def awaited(what: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not what() and time.monotonic() < deadline:
        time.sleep(0.2)
    return what()


def booked(world: World, host: str, **attributes: Any) -> Heard:
    """Everything heard of one booking, until it stands in the calendar."""
    world.connect(host, "google")
    request = world.request(host, tomorrow(), title=CANARY)
    request["data"]["invitee"] |= {"name": CANARY, "email": "canary@example.com"}
    heard = Heard()
    with world.tap() as tap:
        world.emit([request | attributes])
        assert hear(tap, heard, lambda h: h.of("calendar-event-written"), 30), heard.events
    return heard


def logged(world: World, service: str, trace: str) -> list[dict[str, Any]]:
    lines = world.stack.layout.log(service).read_text().splitlines()
    return [json.loads(line) for line in lines if trace in line]


def test_one_booking_is_one_trace_from_its_emitter_to_the_calendar(
    world: World, names: str, collector: Collector
) -> None:
    # given an emitter that wants its trace kept
    trace, root = uuid.uuid4().hex, "ab" * 8
    # when it asks for a booking, which is then written into a calendar
    heard = booked(world, f"host-{names}", traceparent=f"00-{trace}-{root}-01")
    assert awaited(lambda: {(span.service, span.name) for span in collector.of(trace)} >= EXPECTED), sorted(
        EXPECTED - {(span.service, span.name) for span in collector.of(trace)}
    )
    # then every event of it belongs to that trace
    assert {event["traceparent"].split("-")[1] for event in heard.events} == {trace}
    # and so do the spans of all services, down from the emitter's own
    assert awaited(lambda: not loose(collector.of(trace), root)), loose(collector.of(trace), root)
    # and they say nothing of who booked, nor anything that is not on the list
    exported = b"".join(collector.raw)
    assert {name for span in collector.of(trace) for name in span.labels} <= LABELS
    assert not [word for word in (CANARY, "canary@example.com", f"host-{names}") if word.encode() in exported]
    # and one look for the trace finds its lines in the logs of every service that had a hand in it
    steps = {(line["service"], line.get("step", line["event"])) for s in SERVICES for line in logged(world, s, trace)}
    assert steps >= {
        ("booking", "booking held"),
        ("availability", "hold-approved"),
        ("booking", "booking confirmed"),
        ("calendar-writer", "calendar-event-written"),
    }


def loose(spans: list[Kept], root: str) -> list[Kept]:
    """Spans that hang on nothing."""
    known = {span.span for span in spans} | {root}
    return [span for span in spans if span.parent not in known]


def test_a_request_without_a_trace_is_given_one_that_nobody_keeps(
    world: World, names: str, collector: Collector
) -> None:
    heard = booked(world, f"host-{names}")
    facts = [event["traceparent"] for event in heard.events if event["source"].startswith("urn:valet")]
    ((_, trace, _, flags),) = {tuple(text.split("-")) for text in facts}

    assert flags == "00"
    assert all(logged(world, service, trace) for service in ("booking", "availability", "calendar-writer"))
    assert collector.of(trace) == []


def test_every_service_measures_itself_its_events_its_questions_and_its_store(world: World, names: str) -> None:
    booked(world, f"host-{names}")
    everywhere = {
        *("valet_build_info", "valet_log_lines_total", "valet_timer_seconds_count", "valet_store_seconds_count"),
        *("valet_batches_in_flight_limit", "valet_consumer_up", "process_resident_memory_bytes"),
    }
    events = {"valet_event_wait_seconds_count", "valet_events_handled_total", "valet_batch_seconds_count"}
    own = {
        "auth": {"valet_rpc_answer_seconds_count", "valet_keyring_key_age_seconds"},
        "availability": {*events, "valet_rpc_seconds_count", "valet_provider_request_seconds_count"},
        "booking": {*events, "valet_rpc_answer_seconds_count", "valet_holds_open", "valet_keyring_key_age_seconds"},
        "calendar-writer": {*events, "valet_rpc_seconds_count", "valet_provider_requests_total"},
    }
    for service in SERVICES:
        assert awaited(lambda service=service: measured(world, service) >= everywhere | own[service]), (  # type: ignore[misc]  # bound early
            service,
            (everywhere | own[service]) - measured(world, service),
        )


def measured(world: World, service: str) -> set[str]:
    """The samples on a service's page."""
    page = requests.get(f"{world.stack.urls()[f'probes-{service}']}/metrics", verify=world.ca, timeout=10).text
    return {sample.name for family in text_string_to_metric_families(page) for sample in family.samples}

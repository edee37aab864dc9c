"""The events are those of the design, go the right way, and carry nothing personal outward."""

from typing import Any

import jsonschema_rs
import pytest

from libs.contracts.events import NAMES, REQUESTS, TYPES
from tests.contract.events.published import Json, schema

DESIGN = {
    "booking-requested": {"host", "start", "end", "invitee", "title", "sealed"},
    "cancellation-requested": {"booking", "reason"},
    "reschedule-requested": {"booking", "start", "end"},
    "erasure-requested": {"email", "sealed"},
    "booking-held": {"booking", "version", "host", "start", "end", "reason", "moves"},
    "hold-approved": {"booking", "version", "host", "start", "end", "reason"},
    "hold-refused": {"booking", "version", "host", "start", "end", "reason"},
    "booking-confirmed": {"booking", "version", "host", "start", "end", "request", "reason"},
    "booking-rejected": {"booking", "version", "host", "start", "end", "request", "reason"},
    "booking-rescheduled": {"booking", "version", "host", "start", "end", "request", "reason", "change"},
    "booking-cancelled": {"booking", "version", "host", "start", "end", "request", "reason", "change"},
    "change-refused": {"request", "asked", "reason", "booking", "version", "host", "start", "end"},
    "calendar-event-written": {"booking", "version", "host", "provider", "attempt", "reason"},
    "calendar-event-removed": {"booking", "version", "host", "provider", "attempt", "reason"},
    "calendar-write-delayed": {"booking", "version", "host", "provider", "attempt", "reason"},
    "calendar-write-failed": {"booking", "version", "host", "provider", "attempt", "reason"},
    "booking-conflict-found": {"booking", "version", "host", "start", "end", "reason", "found"},
    "calendar-connected": {"host", "provider", "connection", "reason"},
    "calendar-reconnect-needed": {"host", "provider", "connection", "reason"},
    "calendar-disconnected": {"host", "provider", "connection", "reason"},
    "host-calendars-changed": {"host"},
    "provider-switched": {"provider", "on"},
    "host-rules-changed": {
        "host",
        "version",
        "time_zone",
        "buffer_before_minutes",
        "buffer_after_minutes",
        "daily_limit",
    },
    "personal-data-erased": {
        "erasure",
        "version",
        "request",
        "person",
        "erased_at",
        "finished",
        "steps",
        "signature",
    },
    "erasure-refused": {"request", "reason"},
}
"""Event type (and routing key) to what it carries."""

PERSONAL = {"name", "email", "title", "fields", "answer", "answers", "invitee", "token", "sealed", "address", "phone"}
FREE = "a name in free text: Zoë Ämpel, 12 Example Street"
"""A text that no closed property may have room for: blanks, letters beyond ASCII, punctuation."""


def test_the_types_are_those_of_the_design() -> None:
    assert set(TYPES) == set(DESIGN)
    assert len(NAMES) == len(TYPES)
    assert {"booking-requested", "cancellation-requested", "reschedule-requested", "erasure-requested"} == REQUESTS


@pytest.mark.parametrize("event_type", DESIGN)
def test_each_carries_what_the_design_says(event_type: str) -> None:
    assert set(TYPES[event_type].__struct_fields__) == DESIGN[event_type]
    assert set(schema(event_type)["properties"]) == DESIGN[event_type]


@pytest.mark.parametrize("event_type", sorted(set(DESIGN) - REQUESTS))
def test_no_fact_has_room_for_personal_data(event_type: str) -> None:
    document = schema(event_type)
    parts = [document, *document.get("$defs", {}).values()]
    assert not PERSONAL & {name for part in parts for name in part["properties"]}
    for part in parts:
        for name, kind in part["properties"].items():
            assert _is_closed(kind, document), f"{name} could hold anything"


def test_the_check_for_personal_data_can_fail() -> None:
    """Given properties as the requests have them, none counts as closed."""
    document = schema("booking-requested")
    invitee = document["$defs"]["Invitee"]["properties"]
    assert not _is_closed(document["properties"]["title"], document)
    assert not _is_closed(document["properties"]["sealed"], document)
    assert not _is_closed(invitee["name"], document)
    assert not _is_closed(invitee["fields"], document)


def _is_closed(kind: Json, document: Json) -> bool:
    """Whether a property is a number, a truth, a text held by pattern, format or enumeration, or made of such alone."""
    match kind:
        case {"$ref": str(ref)}:
            return ref.removeprefix("#/$defs/") in document["$defs"]  # whose own properties are looked at as well
        case {"type": "integer" | "boolean"}:
            return True
        case {"type": "array", "items": items}:
            return _is_closed(items, document)
        case {"type": "string"}:
            return _is_closed_text(kind)
    return False


def _is_closed_text(kind: dict[str, Any]) -> bool:
    held = kind.get("enum") or kind.get("pattern") or kind.get("format") == "date-time"
    judge = jsonschema_rs.Draft202012Validator(kind, validate_formats=True)
    return bool(held) and not judge.is_valid(FREE) and not judge.is_valid("ada@example.com")

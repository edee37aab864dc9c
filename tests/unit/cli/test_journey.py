"""A journey is put together from the events that come by, and only from its own."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from deploy.cli.journey import STEPS, Heard, Journey, heard, trace_of
from libs.contracts import codec
from libs.contracts.events import (
    TYPES,
    BookingConfirmed,
    BookingHeld,
    BookingRejected,
    CalendarEventWritten,
    Event,
    HoldApproved,
    RequestRef,
)
from libs.contracts.reasons import Reason

START = datetime(2030, 5, 17, 13, 30, tzinfo=UTC)
END = START + timedelta(minutes=30)
OURS, OTHERS = f"bk_{'a' * 26}", f"bk_{'b' * 26}"
TRACE, OTHER_TRACE = "1" * 32, "2" * 32
REQUEST = RequestRef(source="urn:example:desk", id="r-1")
HOLD: dict[str, Any] = {"version": 1, "host": "dr-example", "start": START, "end": END}


def journey() -> Journey:
    return Journey(REQUEST, "dr-example", START, END, TRACE, sent=100.0)


def say(kind: str, data: Event, at: float, trace: str | None = TRACE) -> Heard:
    return Heard(kind, at, trace, data)  # type: ignore[arg-type]  # each test gives data that tells of a journey


def confirmed(booking: str = OURS, request: RequestRef = REQUEST) -> BookingConfirmed:
    return BookingConfirmed(booking=booking, version=2, request=request, host="dr-example", start=START, end=END)


def written(booking: str = OURS) -> CalendarEventWritten:
    return CalendarEventWritten(booking=booking, version=2, host="dr-example", provider="google", attempt=1)


def test_a_confirmed_booking_has_all_its_steps_with_their_times() -> None:
    # given a journey that was sent at 100 s
    found = journey()
    # when its events come by
    found.hear(say("booking-held", BookingHeld(booking=OURS, **HOLD), 100.05))
    found.hear(say("hold-approved", HoldApproved(booking=OURS, **HOLD), 100.1))
    found.hear(say("booking-confirmed", confirmed(), 100.2))
    assert not found.over
    found.hear(say("calendar-event-written", written(), 100.4))
    # then each is a step, counted from the sending
    assert [(step.name, step.ms) for step in found.steps] == [
        ("requested", 0),
        ("held", 50),
        ("approved", 100),
        ("confirmed", 200),
        ("written", 400),
    ]
    assert (found.outcome, found.booking, found.over) == ("confirmed", OURS, True)


def test_a_rejection_is_the_end_and_says_why() -> None:
    found = journey()
    rejection = BookingRejected(booking=OURS, version=1, request=REQUEST, reason=Reason.TIME_TAKEN)
    found.hear(say("booking-rejected", rejection, 100.1))
    assert (found.outcome, found.reason, found.over) == ("rejected", "time-taken", True)


def test_the_hold_of_another_for_the_same_time_is_not_taken_for_ours_once_the_outcome_is_known() -> None:
    # given a hold for the same time, without a trace, that came first
    found = journey()
    found.hear(say("booking-held", BookingHeld(booking=OTHERS, **HOLD), 100.01, trace=None))
    assert found.booking == OTHERS
    # when our own outcome names another booking
    rejection = BookingRejected(booking=OURS, version=1, request=REQUEST, reason=Reason.TIME_TAKEN)
    found.hear(say("booking-rejected", rejection, 100.1))
    # then the other's hold is no step of ours
    assert [step.name for step in found.steps] == ["requested", "rejected"]
    assert found.booking == OURS


def test_a_hold_with_the_trace_of_another_request_is_not_ours() -> None:
    found = journey()
    found.hear(say("booking-held", BookingHeld(booking=OTHERS, **HOLD), 100.01, trace=OTHER_TRACE))
    assert found.booking is None


@pytest.mark.parametrize(
    ("what", "event"),
    [
        ("another request", say("booking-confirmed", confirmed(request=RequestRef(source="urn:x", id="r-1")), 100.1)),
        ("before we asked", say("booking-confirmed", confirmed(), 99.9)),
    ],
)
def test_outcomes_that_are_not_ours_are_not_heard(what: str, event: Heard) -> None:
    found = journey()
    found.hear(event)
    assert found.outcome is None, what


def test_the_entry_of_another_booking_of_the_host_does_not_end_ours() -> None:
    found = journey()
    found.hear(say("booking-confirmed", confirmed(), 100.1))
    found.hear(say("calendar-event-written", written(OTHERS), 100.2))
    assert not found.over


def test_a_repeated_event_is_one_step_and_the_first_time_counts() -> None:
    found = journey()
    for at in (100.1, 100.5):
        found.hear(say("booking-confirmed", confirmed(), at))
    assert [(step.name, step.ms) for step in found.steps] == [("requested", 0), ("confirmed", 100)]


def test_what_is_not_sent_yet_hears_nothing() -> None:
    found = journey()
    found.sent = None
    found.hear(say("booking-confirmed", confirmed(), 100.1))
    assert (found.steps, found.outcome) == ([], None)


def test_an_event_from_the_bus_is_read_with_its_trace() -> None:
    # given an event as Valet sends it
    event = codec.event(
        confirmed(), id="e-1", source="urn:valet:booking", time=START, traceparent=f"00-{TRACE}-{'3' * 16}-01"
    )
    envelope = codec.read(codec.encode(event), codec.STRUCTURED, {})
    # when it is heard
    found = heard(envelope, 5.0)
    # then it is what it was
    assert found == Heard("booking-confirmed", 5.0, TRACE, confirmed())


def test_events_that_tell_of_no_journey_or_cannot_be_read_are_passed_over() -> None:
    envelope = codec.Envelope(specversion="1.0", id="e", source="urn:x", type="calendar-connected")
    broken = codec.Envelope(
        specversion="1.0", id="e", source="urn:x", type="booking-confirmed", data=msgspec.Raw(b'{"booking": 1}')
    )
    assert heard(envelope, 1.0) is None
    assert heard(broken, 1.0) is None


def test_every_step_is_an_event_type_that_exists() -> None:
    assert set(STEPS) <= set(TYPES)


@pytest.mark.parametrize("text", [None, "", "nonsense", "00-1"])
def test_a_traceparent_that_is_none_has_no_trace(text: str | None) -> None:
    assert trace_of(text) is None

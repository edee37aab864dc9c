"""A change of a booking, heard event by event."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.cli import changes
from deploy.cli.change import Change
from deploy.cli.errors import ExitCode
from libs.contracts import codec
from libs.contracts.events import (
    BookingCancelled,
    BookingHeld,
    BookingRescheduled,
    CalendarEventRemoved,
    CalendarEventWritten,
    CancellationRequested,
    ChangeRefused,
    Event,
    RequestRef,
    RescheduleRequested,
)
from libs.contracts.reasons import Reason

BOOKING, OTHER = f"bk_{'a' * 26}", f"bk_{'b' * 26}"
AT = datetime(2030, 5, 17, 13, tzinfo=UTC)
END = AT + timedelta(minutes=30)
MINE, FIRST = RequestRef(source="urn:valet:operator", id="c-1"), RequestRef(source="urn:example:shop", id="r-1")


def cancelling() -> Change:
    return Change(MINE, CancellationRequested(booking=BOOKING), "t", 100.0)


def moving() -> Change:
    return Change(MINE, RescheduleRequested(booking=BOOKING, start=AT, end=END), "t", 100.0)


def told(change: Change, data: Event) -> bool:
    event = codec.event(data, id="e", source="urn:valet:test", time=AT)
    return change.hear(codec.read(codec.encode(event), codec.STRUCTURED, {}), 101.5)


def entry(kind: Any, version: int, booking: str = BOOKING) -> Event:
    made: Event = kind(booking=booking, version=version, host="dr-example", provider="google", attempt=1)
    return made


def test_a_cancellation_is_over_when_the_entry_is_gone() -> None:
    change = cancelling()
    # an older event of the entry's, and another's cancellation, say nothing of this one
    assert not told(change, entry(CalendarEventRemoved, 2))
    assert not told(change, BookingCancelled(booking=BOOKING, version=3, request=FIRST, change=FIRST))
    assert told(change, BookingCancelled(booking=BOOKING, version=3, request=FIRST, change=MINE))
    assert not told(change, entry(CalendarEventRemoved, 2))
    assert (change.outcome, change.over, changes.exit_code(change)) == ("cancelled", False, ExitCode.NO_OUTCOME)
    assert told(change, entry(CalendarEventRemoved, 3))
    assert (change.over, changes.exit_code(change)) == (True, ExitCode.OK)
    assert [step.name for step in change.steps] == ["requested", "cancelled", "removed"]


def test_a_move_is_followed_by_its_new_time() -> None:
    change = moving()
    later = BookingHeld(booking=BOOKING, version=3, host="dr-example", start=END, end=END + timedelta(minutes=30))
    assert not told(change, later)
    assert told(change, BookingHeld(booking=BOOKING, version=3, host="dr-example", start=AT, end=END))
    assert told(change, BookingRescheduled(booking=BOOKING, version=4, request=FIRST, change=MINE, start=AT, end=END))
    assert not told(change, entry(CalendarEventWritten, 4, OTHER))
    assert told(change, entry(CalendarEventWritten, 4))
    assert changes.exit_code(change) is ExitCode.OK


def test_a_refusal_ends_it() -> None:
    change = moving()
    assert told(change, ChangeRefused(request=MINE, asked="reschedule", reason=Reason.TIME_TAKEN))
    assert (change.outcome, change.reason, changes.exit_code(change)) == ("refused", "time-taken", ExitCode.REJECTED)
    assert "time-taken" in changes.conclusion(change)[0]


@pytest.mark.parametrize(
    ("calendar", "over"),
    [
        (None, False),
        ({"state": "written", "at": "2030-05-01T10:00:00Z"}, False),
        ({"state": "written", "at": "2030-05-01T12:00:01Z"}, True),
        ({"state": "failed", "at": "2030-05-01T12:00:01Z", "reason": "refused-by-provider"}, True),
    ],
)
def test_what_is_asked_about_the_entry_counts_only_if_it_is_younger_than_the_move(calendar: Any, over: bool) -> None:
    change = moving()
    told(change, BookingRescheduled(booking=BOOKING, version=4, request=FIRST, change=MINE, start=AT, end=END))
    history = [
        {"state": "confirmed", "at": "2030-05-01T09:00:00Z", "version": 2},
        {"state": "rescheduled", "at": "2030-05-01T12:00:00Z", "version": 4, "start": "2030-05-17T13:00:00Z"},
    ]
    answer = {
        BOOKING: {"booking": BOOKING, "state": "confirmed", "version": 4, "history": history, "calendar": calendar}
    }
    changes.learn_entry(change, answer, 102.0)
    assert change.over is over


def test_a_cancelled_booking_that_was_never_written_has_no_entry_to_wait_for() -> None:
    change = cancelling()
    told(change, BookingCancelled(booking=BOOKING, version=2, request=FIRST, change=MINE))
    changes.learn_entry(change, {BOOKING: {"booking": BOOKING, "state": "cancelled", "version": 2}}, 102.0)
    assert changes.exit_code(change) is ExitCode.OK

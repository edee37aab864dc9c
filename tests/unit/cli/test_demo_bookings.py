"""The demonstration's bookings, their judgement, and how they are shown."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from deploy.cli.journey import Heard
from deploy.cli.screen import Screen
from deploy.demo import bookings, times
from deploy.demo.bookings import Row
from deploy.demo.table import Board, line
from libs.contracts.events import BookingConfirmed, BookingRejected, CalendarEventWritten, HoldRefused
from libs.contracts.reasons import Reason

BLOCK = times.Block(datetime(2030, 5, 20, 13, 0, tzinfo=UTC))
OURS = f"bk_{'a' * 26}"


def screen(width: int = 120) -> tuple[Screen, io.StringIO]:
    out = io.StringIO()
    return Screen(out=Console(file=out, highlight=False, markup=False, width=width)), out


def six() -> list[Row]:
    rows = list(bookings.first(BLOCK))
    return [*rows, *bookings.second(BLOCK, rows)]


def confirm(row: Row, at: float = 2.0, booking: str = OURS) -> None:
    data, who = row.data, row.who
    fact = BookingConfirmed(
        booking=booking, version=2, request=row.journey.request, host=who.host, start=data.start, end=data.end
    )
    entry = CalendarEventWritten(booking=booking, version=2, host=who.host, provider=who.provider, attempt=1)
    row.journey.hear(Heard("booking-confirmed", at, None, fact))
    row.journey.hear(Heard("calendar-event-written", at + 1, None, entry))


def reject(row: Row, reason: Reason) -> None:
    fact = BookingRejected(booking=OURS, version=1, request=row.journey.request, reason=reason)
    row.journey.hear(Heard("booking-rejected", 2.0, None, fact))


def sent() -> list[Row]:
    rows = six()
    for row in rows:
        row.journey.sent = 1.0
    return rows


def test_the_handful_is_what_was_promised() -> None:
    found = [(row.who.provider, row.expected, row.reason, row.same_as is not None) for row in six()]
    assert found == [
        ("google", "confirmed", None, False),
        ("microsoft", "confirmed", None, False),
        ("microsoft", "confirmed", None, False),
        ("google", "rejected", "host-busy", False),
        ("microsoft", "rejected", "time-taken", False),
        ("google", "confirmed", None, True),
    ]


def test_the_bookings_lie_in_the_block_as_their_outcomes_need() -> None:
    one, two, later, busy, taken, again = six()
    assert all(BLOCK.start <= row.data.start < row.data.end <= BLOCK.end for row in six())
    assert BLOCK.at(bookings.BUSY[0]) <= busy.data.start < busy.data.end <= BLOCK.at(bookings.BUSY[1])
    assert one.data.end <= BLOCK.at(bookings.BUSY[0])
    assert taken.data.start < two.data.end
    assert taken.data.start > two.data.start
    assert taken.data.end <= later.data.start
    assert again.data == one.data
    assert again.journey.request == one.journey.request


def test_a_booking_that_comes_out_right_is_as_expected() -> None:
    one, _, _, busy, *_ = sent()
    confirm(one)
    reject(busy, Reason.HOST_BUSY)
    assert (one.over, one.as_expected, busy.over, busy.as_expected) == (True, True, True, True)


def test_a_booking_that_comes_out_otherwise_is_not() -> None:
    one, _, _, busy, taken, _ = sent()
    reject(one, Reason.HOST_BUSY)
    confirm(busy)
    reject(taken, Reason.HOST_BUSY)
    assert not any(row.as_expected for row in (one, busy, taken))


def test_silence_is_not_as_expected() -> None:
    assert not any(row.as_expected or row.over for row in sent())


@pytest.mark.parametrize(("booking", "same"), [(OURS, True), (f"bk_{'b' * 26}", False)])
def test_a_repeated_request_must_get_the_same_booking(booking: str, same: bool) -> None:
    one, *_, again = sent()
    confirm(one)
    again.journey.sent = 10.0
    confirm(again, 11.0, booking)
    assert again.as_expected is same


def test_the_answer_to_the_first_request_is_not_taken_for_that_to_the_repeated_one() -> None:
    one, *_, again = sent()
    again.journey.sent = 10.0
    for row in (one, again):
        confirm(row, 2.0)
    assert one.journey.outcome == "confirmed"
    assert again.journey.outcome is None


def test_a_rejection_is_decided_when_the_booking_service_says_so() -> None:
    # given a hold that availability refuses before the booking is rejected
    row = sent()[3]
    refusal = HoldRefused(
        booking=OURS, version=1, host=row.data.host, start=row.data.start, end=row.data.end, reason=Reason.HOST_BUSY
    )
    row.journey.hear(Heard("hold-refused", 1.5, row.journey.trace, refusal))
    reject(row, Reason.HOST_BUSY)
    # then the refusal is not taken for the decision
    assert "decided 1000 ms, in calendar -; rejected (host-busy)" in line(row, screen()[0]).plain


@pytest.mark.parametrize("width", [40, 80, 96, 120])
def test_the_board_fits_and_says_everything(width: int) -> None:
    rows = sent()
    confirm(rows[0])
    reject(rows[3], Reason.HOST_BUSY)
    shown, out = screen(width)
    shown.out.print(Board(rows, shown))
    text = " ".join(out.getvalue().split())
    assert all(len(row) <= width for row in out.getvalue().splitlines())
    for words in ("dr-example", "1000 ms", "2000 ms", "confirmed", "host-busy"):
        assert words in text or words in text.replace(" ", "")


def test_a_line_has_all_steps_of_a_row() -> None:
    row = sent()[0]
    confirm(row)
    text = line(row, screen()[0]).plain
    assert "requested 0 ms, held -, decided 1000 ms, in calendar 2000 ms; confirmed" in text

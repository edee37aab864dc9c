"""What is the host's own over a booking, and what cannot be told."""

from datetime import timedelta

import pytest

from libs.providers.port import Busy, Interval
from libs.testing.clock import START
from services.calendar_writer.conflicts import overlap


def at(start: int, end: int) -> Interval:
    return Interval(START + timedelta(minutes=start), START + timedelta(minutes=end))


BOOKED = at(0, 60)


def apart(*single: Interval) -> Busy:
    """Busy times of a provider that tells entries apart."""
    return Busy(single, START, single)


def merged(*intervals: Interval) -> Busy:
    return Busy(intervals, START)


@pytest.mark.parametrize(
    ("single", "ours", "found"),
    [
        ([BOOKED], [BOOKED], None),
        ([BOOKED, at(60, 90)], [BOOKED], None),
        ([BOOKED, at(30, 90)], [BOOKED], at(30, 90)),
        ([BOOKED, BOOKED], [BOOKED], BOOKED),
        ([BOOKED, BOOKED], [BOOKED, BOOKED], None),
        ([at(0, 120), BOOKED], [BOOKED], at(0, 120)),
        ([at(-30, 5), BOOKED, at(50, 70)], [BOOKED], at(-30, 5)),
        # Ours was moved away, and something of the host's lies where it was.
        ([at(120, 180), BOOKED], [at(120, 180)], BOOKED),
        ([at(120, 180)], [at(120, 180)], None),
        # A neighbour of ours that was moved over this one.
        ([BOOKED, at(30, 90)], [BOOKED, at(30, 90)], None),
    ],
)
def test_where_entries_are_told_apart_each_of_ours_is_matched_with_one(
    single: list[Interval], ours: list[Interval], found: Interval | None
) -> None:
    assert overlap(BOOKED, apart(*single), ours) == found


@pytest.mark.parametrize(
    ("busy", "ours", "found"),
    [
        ([BOOKED], [BOOKED], None),
        # It may be ours alone, or ours and the host's: that cannot be told, so nothing is said.
        ([at(-30, 120)], [BOOKED], None),
        # In a calendar without an entry of ours every busy time is the host's.
        ([at(30, 90)], [], at(30, 90)),
        ([at(60, 90)], [], None),
        ([at(30, 90)], [at(90, 120)], None),
        # Ours was moved away, and what lies over the booking does not touch it.
        ([at(0, 30), at(120, 180)], [at(120, 180)], at(0, 30)),
    ],
)
def test_where_times_are_merged_nothing_is_guessed(
    busy: list[Interval], ours: list[Interval], found: Interval | None
) -> None:
    assert overlap(BOOKED, merged(*busy), ours) == found

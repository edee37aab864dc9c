"""Free and busy, against slow and obvious references."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.reasons import Reason
from services.availability.domain import Verdict, Window, joined, judge, slots

BASE = datetime(2030, 3, 10, 0, 0, tzinfo=UTC)  # clocks go forward in New York on this day, 07:00 UTC
MINUTE = timedelta(minutes=1)
STEPS = st.sampled_from([5, 10, 15, 20, 30, 60]).map(lambda n: n * MINUTE)


@st.composite
def windows(draw: st.DrawFn, longest: int = 300) -> Window:
    start = BASE + timedelta(minutes=draw(st.integers(-200, 1600)), seconds=draw(st.sampled_from([0, 0, 0, 1, 59.999])))
    return Window(start, start + draw(st.integers(0, longest)) * MINUTE)


def reference(window: Window, busy: list[Window], duration: timedelta, step: timedelta) -> list[Window]:
    """Every start on the step, one after the other, each looked at by itself."""
    found, at = [], datetime(2030, 3, 1, tzinfo=UTC)
    while at + duration <= window.end:
        slot = Window(at, at + duration)
        if at >= window.start and not any(b.start < slot.end and slot.start < b.end for b in busy):
            found.append(slot)
        at += step
    return found


@given(windows(longest=2000), st.lists(windows(), max_size=6), st.integers(1, 180), STEPS)
def test_slots_are_those_of_the_reference(window: Window, busy: list[Window], minutes: int, step: timedelta) -> None:
    duration = minutes * MINUTE

    assert slots(window, busy, duration, step) == reference(window, busy, duration, step)


def test_on_the_day_clocks_change_every_slot_is_an_hour_of_real_time() -> None:
    # In New York the day has 23 hours in March and 25 in November.
    zone = ZoneInfo("America/New_York")
    for month, day, hours in ((3, 10, 23), (11, 3, 25)):
        start = datetime(2030, month, day, tzinfo=zone).astimezone(UTC)
        end = datetime(2030, month, day + 1, tzinfo=zone).astimezone(UTC)
        busy = [
            Window(start + timedelta(hours=1), start + timedelta(hours=3))
        ]  # over the gap, or the hour that comes twice

        found = slots(Window(start, end), busy, timedelta(hours=1), timedelta(hours=1))
        assert len(found) == hours - 2
        assert all(slot.end - slot.start == timedelta(hours=1) for slot in found)
        assert len({slot.start.timestamp() for slot in found}) == hours - 2


def test_zones_a_quarter_off_get_slots_on_their_own_hours() -> None:
    zone = ZoneInfo("Asia/Kathmandu")  # UTC+05:45
    nine = datetime(2030, 3, 10, 9, tzinfo=zone).astimezone(UTC)

    found = slots(Window(nine, nine + timedelta(hours=1)), [], timedelta(hours=1), 15 * MINUTE)
    assert found == [Window(nine, nine + timedelta(hours=1))]


@given(windows(), st.lists(windows(), max_size=6))
def test_free_means_that_nothing_overlaps(asked: Window, busy: list[Window]) -> None:
    overlap = any(asked.start < b.end and b.start < asked.end for b in busy)

    assert judge(asked, busy) == Verdict(Reason.HOST_BUSY if overlap else None)
    assert judge(asked, busy).free is not overlap


def test_what_touches_does_not_overlap() -> None:
    hour = Window(BASE, BASE + 60 * MINUTE)

    assert judge(hour, [Window(BASE - MINUTE, BASE), Window(hour.end, hour.end + MINUTE)]).free
    assert not judge(hour, [Window(BASE - MINUTE, BASE + timedelta(milliseconds=1))]).free


@given(st.lists(windows(), max_size=12), st.integers(10, 600))
def test_joined_windows_cover_all_and_are_no_longer_than_allowed(asked: list[Window], minutes: int) -> None:
    longest = minutes * MINUTE

    covers = joined(asked, longest)
    assert all(any(c.start <= w.start and w.end <= c.end for c in covers) for w in asked)
    assert all(c.end - c.start <= longest or c in asked for c in covers)
    assert len(covers) <= len(asked)


def test_windows_near_each_other_are_one_question() -> None:
    near = [Window(BASE + n * 60 * MINUTE, BASE + (n + 1) * 60 * MINUTE) for n in (5, 0, 3)]

    assert joined(near, timedelta(days=31)) == [Window(BASE, BASE + 6 * 60 * MINUTE)]

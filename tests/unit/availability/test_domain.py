"""Free and busy, against slow and obvious references."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.reasons import Reason
from services.availability.domain import Verdict, Window, joined, judge, without

BASE = datetime(2030, 3, 10, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@st.composite
def windows(draw: st.DrawFn, longest: int = 300) -> Window:
    start = BASE + timedelta(minutes=draw(st.integers(-200, 1600)), seconds=draw(st.sampled_from([0, 0, 0, 1, 59.999])))
    return Window(start, start + draw(st.integers(0, longest)) * MINUTE)


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


def test_a_window_inside_a_long_one_is_no_question_of_its_own() -> None:
    long = Window(BASE, BASE + timedelta(days=62))
    short = Window(BASE + timedelta(days=40), BASE + timedelta(days=40, hours=1))

    assert joined([short, long], timedelta(days=31)) == [long]


@given(st.lists(windows(), max_size=6), windows())
def test_without_takes_out_the_hole_and_nothing_else(all_: list[Window], hole: Window) -> None:
    left = without(all_, hole)
    edges = {edge for window in [*all_, hole] for edge in (window.start, window.end)}

    def holds(windows: list[Window], at: datetime) -> bool:
        return any(window.start <= at < window.end for window in windows)

    assert all(holds(left, at) == (holds(all_, at) and not holds([hole], at)) for at in edges)
    assert all(piece.start < piece.end for piece in left)


def test_with_reaches_over_what_overlaps_and_not_over_what_touches() -> None:
    hour = Window(BASE, BASE + 60 * MINUTE)
    early = Window(BASE - 30 * MINUTE, BASE + MINUTE)
    touching = Window(hour.end, hour.end + 60 * MINUTE)

    assert hour.with_([early, touching]) == Window(early.start, hour.end)
    assert hour.with_([]) == hour

"""What is remembered of busy times: not too long, not too much."""

import pytest
from prometheus_client import REGISTRY

from libs.providers.port import Busy, Interval, Unreadable
from libs.telemetry import metrics
from libs.testing.clock import START, Clock
from libs.testing.events import HOST, HOUR, SOON
from libs.testing.grants import calendar_of
from services.availability.domain import Window
from services.availability.flights import Inquiry, Look
from services.availability.snapshots import BASE_BYTES, MOST_WINDOWS, SPAN_BYTES, Snapshots

DAY = 24 * HOUR
WEEK = Window(SOON, SOON + 7 * DAY)


def inquiry(window: Window = WEEK, host: str = HOST, calendars: tuple[str, ...] = ("one",)) -> Inquiry:
    access = tuple(calendar_of(host, name=name) for name in calendars)
    return Inquiry(host, f"cn_{host}", "google", "token", access, (window,), (window,))


def busy(spans: int = 1, single: bool = False) -> Busy:
    intervals = tuple(Interval(SOON + n * HOUR, SOON + (n + 0.5) * HOUR) for n in range(spans))
    return Busy(intervals, START, intervals if single else None)


class Kept:
    """Snapshots, and a clock they grow old by."""

    def __init__(self, seconds: float = 60, most: int = 10**9) -> None:
        self.clock = Clock()
        self.snapshots = Snapshots(seconds, self.clock.seconds, most)

    def keep(self, asked: Inquiry, result: Busy | Unreadable | None = None) -> None:
        results = {calendar.calendar: result or busy() for calendar in asked.calendars}
        self.snapshots.keep(asked, [Look(asked.windows[0], self.clock.seconds(), results)])

    def knows(self, asked: Inquiry) -> bool:
        return bool(self.snapshots.known(asked))


def test_what_was_read_answers_every_question_inside_it() -> None:
    kept = Kept()
    kept.keep(inquiry())

    (look,) = kept.snapshots.known(inquiry(Window(SOON + DAY, SOON + 2 * DAY)))
    assert (look.results, look.began) == ({"one": busy()}, kept.clock.seconds())
    assert not kept.knows(inquiry(Window(SOON - HOUR, SOON + DAY)))
    assert not kept.knows(inquiry(Window(SOON, SOON + 8 * DAY)))


def test_all_calendars_must_be_known() -> None:
    kept = Kept()
    kept.keep(inquiry(calendars=("one",)))

    assert not kept.knows(inquiry(calendars=("one", "two")))
    kept.keep(inquiry(calendars=("two",)))
    assert kept.knows(inquiry(calendars=("one", "two")))


def test_an_answer_is_as_old_as_its_oldest_part() -> None:
    kept = Kept()
    kept.keep(inquiry(calendars=("one",)))
    began = kept.clock.seconds()
    kept.clock.move(HOUR / 120)
    kept.keep(inquiry(calendars=("two",)))

    assert kept.snapshots.known(inquiry(calendars=("one", "two")))[0].began == began


@pytest.mark.parametrize(("age", "known"), [(59, True), (60, False), (3600, False)])
def test_nothing_is_used_beyond_its_time(age: int, known: bool) -> None:
    kept = Kept()
    kept.keep(inquiry())
    kept.clock.move(age * HOUR / 3600)

    assert kept.knows(inquiry()) is known


def test_with_no_seconds_nothing_is_kept() -> None:
    metrics.SNAPSHOT_BYTES.set(0)
    kept = Kept(seconds=0)
    kept.keep(inquiry())

    assert not kept.knows(inquiry())
    assert REGISTRY.get_sample_value("valet_busy_times_kept_bytes") == 0


def test_what_could_not_be_read_is_not_kept() -> None:
    kept = Kept()
    kept.keep(inquiry(), Unreadable("timeout"))

    assert not kept.knows(inquiry())


def test_what_only_a_hold_asked_about_is_not_kept() -> None:
    kept = Kept()
    asked = inquiry()
    fresh = Inquiry(HOST, asked.connection, "google", "token", asked.calendars, asked.windows)
    kept.keep(fresh)

    assert fresh.fresh
    assert not kept.knows(asked)


def test_the_newest_answers() -> None:
    kept = Kept()
    kept.keep(inquiry(), busy(1))
    kept.clock.move(HOUR / 360)
    kept.keep(inquiry(Window(SOON, SOON + DAY)), busy(2))

    (look,) = kept.snapshots.known(inquiry(Window(SOON, SOON + HOUR)))
    assert look.results == {"one": busy(2)}
    assert kept.knows(inquiry()), "the week is still known"


def test_several_weeks_of_a_calendar_are_kept_and_not_too_many() -> None:
    kept, weeks = Kept(), [Window(SOON + n * 7 * DAY, SOON + (n + 1) * 7 * DAY) for n in range(MOST_WINDOWS + 1)]
    for week in weeks:
        kept.keep(inquiry(week))

    assert [kept.knows(inquiry(week)) for week in weeks] == [False, *[True] * MOST_WINDOWS]


def test_a_host_is_forgotten_without_the_others() -> None:
    kept = Kept()
    kept.keep(inquiry(host="dr-one"))
    kept.keep(inquiry(host="dr-two"))
    kept.snapshots.forget("dr-one")
    kept.snapshots.forget("dr-nobody")

    assert (kept.knows(inquiry(host="dr-one")), kept.knows(inquiry(host="dr-two"))) == (False, True)


@pytest.mark.parametrize("single", [False, True])
def test_memory_is_bounded_and_those_asked_about_longest_ago_go_first(single: bool) -> None:
    size = BASE_BYTES + SPAN_BYTES * 10 * (2 if single else 1)
    kept = Kept(most=3 * size)
    for name in "abc":
        kept.keep(inquiry(host=name), busy(10, single))
    assert kept.knows(inquiry(host="a"))
    for name in "dd":  # the same again takes no more room
        kept.keep(inquiry(host=name), busy(10, single))

    assert {name: kept.knows(inquiry(host=name)) for name in "abcd"} == {"a": True, "b": False, "c": True, "d": True}


def test_what_is_too_much_for_itself_is_not_kept() -> None:
    kept = Kept(most=1000)
    kept.keep(inquiry(host="a"), busy(10))

    assert not kept.knows(inquiry(host="a"))

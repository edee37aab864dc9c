"""Free slots against a slow and obvious reference, and by example."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.questions import HostRules, Hours
from services.availability import free
from services.availability.domain import Window
from services.availability.rules import fault
from tests.unit.availability import reference
from tests.unit.availability.clockwork import DAY, HOUR, MINUTE, blocks, odd

MONDAY = datetime(2030, 6, 3, tzinfo=UTC)
EARLY = datetime(2030, 1, 1, tzinfo=UTC)
NINE_TO_FIVE = [Hours(start="09:00", end="17:00")]


def at(text: str, zone: str = "UTC") -> datetime:
    """A wall-clock time; 'b' at the end means the second of two."""
    return (
        datetime.fromisoformat(text.rstrip("b"))
        .replace(tzinfo=ZoneInfo(zone), fold=int(text[-1] == "b"))
        .astimezone(UTC)
    )


def starts(
    rules: HostRules, window: Window, minutes: int, busy: list[Window] | None = None, now: datetime = EARLY
) -> list[str]:
    """The slots' starts by the host's wall clock."""
    zone = ZoneInfo(rules.time_zone)
    found = free.slots(rules, window, busy or [], [], minutes * MINUTE, now)
    return [f"{slot.start.astimezone(zone):%H:%M}" for slot in found]


def day(rules: HostRules, text: str) -> Window:
    """A local day of the host's."""
    zone, first = ZoneInfo(rules.time_zone), date.fromisoformat(text)
    edges = (datetime(d.year, d.month, d.day, tzinfo=zone).astimezone(UTC) for d in (first, first + DAY))
    return Window(*edges)


@settings(max_examples=70, deadline=None)
@given(st.data(), odd(), st.sampled_from([5, 30, 45, 60, 180]))
def test_slots_are_what_trying_every_start_finds(
    data: st.DataObject, given_rules: tuple[HostRules, Window], minutes: int
) -> None:
    rules, window = given_rules
    busy, taken = data.draw(blocks(window)), data.draw(blocks(window))
    now = window.start + data.draw(st.sampled_from([-3 * DAY, -DAY, 0 * DAY, 90 * MINUTE, DAY]))
    full_days = data.draw(
        st.sets(st.sampled_from([reference.local_day(rules, window.start + n * DAY) for n in (0, 1)]))
    )
    asked = (rules, window, busy, taken, minutes * MINUTE, now, full_days)

    assert free.slots(*asked) == reference.slots(*asked)


@settings(max_examples=25, deadline=None)
@given(odd(), st.sampled_from([30, 60]))
def test_what_is_offered_is_not_refused_by_the_rules(given_rules: tuple[HostRules, Window], minutes: int) -> None:
    rules, window = given_rules
    now = window.start - DAY

    assert all(fault(rules, slot, now) is None for slot in free.slots(rules, window, [], [], minutes * MINUTE, now))


@settings(max_examples=25, deadline=None)
@given(odd(), st.sampled_from([10, 15, 30]))
def test_on_a_coarser_grid_too(given_rules: tuple[HostRules, Window], grid: int) -> None:
    rules, window = given_rules
    now, busy = window.start - DAY, [Window(window.start + 61 * MINUTE, window.start + 62 * MINUTE)]
    found = free.slots(rules, window, busy, [], 60 * MINUTE, now, grid_minutes=grid)

    assert found == reference.slots(rules, window, busy, [], 60 * MINUTE, now, (), grid * MINUTE)


def test_the_starts_of_a_plain_day() -> None:
    rules = HostRules(time_zone="Europe/Berlin", weekly={"mon": NINE_TO_FIVE}, step_minutes=60)

    assert starts(rules, day(rules, "2030-06-03"), 90) == [
        "09:00",
        "10:00",
        "11:00",
        "12:00",
        "13:00",
        "14:00",
        "15:00",
    ]


def test_steps_are_counted_from_each_opening() -> None:
    hours = [Hours(start="08:10", end="09:30"), Hours(start="13:00", end="14:00")]
    rules = HostRules(weekly={"mon": hours}, step_minutes=30)

    assert starts(rules, Window(MONDAY, MONDAY + DAY), 30) == ["08:10", "08:40", "13:00", "13:30"]


def test_without_hours_steps_are_counted_from_local_midnight() -> None:
    rules = HostRules(time_zone="Asia/Kathmandu", step_minutes=360)

    assert starts(rules, day(rules, "2030-06-03"), 30) == ["00:00", "06:00", "12:00", "18:00"]


def test_a_window_that_begins_late_does_not_move_the_steps() -> None:
    rules = HostRules(weekly={"mon": NINE_TO_FIVE}, step_minutes=45)

    assert starts(rules, Window(MONDAY + 10 * HOUR, MONDAY + 12 * HOUR), 30) == ["10:30", "11:15"]


def test_an_opening_off_the_grid_is_rounded_up() -> None:
    rules = HostRules(weekly={"mon": [Hours(start="09:07", end="10:13")]}, step_minutes=20)

    assert starts(rules, Window(MONDAY, MONDAY + DAY), 20) == ["09:10", "09:30", "09:50"]


def test_hours_that_touch_off_the_grid_go_on_without_a_hole() -> None:
    rules = HostRules(
        weekly={"mon": [Hours(start="09:00", end="09:33"), Hours(start="09:33", end="10:10")]}, step_minutes=10
    )

    assert starts(rules, Window(MONDAY, MONDAY + DAY), 10) == [
        "09:00",
        "09:10",
        "09:20",
        "09:30",
        "09:35",
        "09:45",
        "09:55",
    ]


def test_slots_and_busy_times_may_touch() -> None:
    rules = HostRules(weekly={"mon": NINE_TO_FIVE}, step_minutes=60)
    busy = [Window(MONDAY + 10 * HOUR, MONDAY + 15 * HOUR)]

    assert starts(rules, Window(MONDAY, MONDAY + DAY), 60, busy) == ["09:00", "15:00", "16:00"]


def test_busy_times_off_the_grid_take_whole_cells() -> None:
    rules = HostRules(weekly={"mon": NINE_TO_FIVE}, step_minutes=5)
    busy = [Window(MONDAY + 9 * HOUR + timedelta(seconds=901), MONDAY + 17 * HOUR - timedelta(seconds=601))]

    assert starts(rules, Window(MONDAY, MONDAY + DAY), 10, busy) == ["09:00", "09:05", "16:50"]


def test_a_busy_time_of_no_length_takes_nothing() -> None:
    rules = HostRules(weekly={"mon": NINE_TO_FIVE}, step_minutes=240)
    busy = [Window(MONDAY + 9 * HOUR + MINUTE, MONDAY + 9 * HOUR + MINUTE)]

    assert starts(rules, Window(MONDAY, MONDAY + DAY), 60, busy) == ["09:00", "13:00"]


def test_buffers_keep_their_distance_and_may_lie_outside_the_hours() -> None:
    rules = HostRules(weekly={"mon": NINE_TO_FIVE}, step_minutes=5, buffer_before_minutes=30, buffer_after_minutes=15)
    busy = [Window(MONDAY + 10 * HOUR, MONDAY + 16 * HOUR)]
    found = starts(rules, Window(MONDAY, MONDAY + DAY), 30, busy)

    assert found == ["09:00", "09:05", "09:10", "09:15", "16:30"]


def test_what_is_busy_just_outside_the_window_reaches_in_by_the_buffers() -> None:
    rules = HostRules(step_minutes=60, buffer_before_minutes=60, buffer_after_minutes=60)
    window = Window(MONDAY + 10 * HOUR, MONDAY + 14 * HOUR)
    busy = [Window(MONDAY + 9 * HOUR, window.start), Window(window.end, MONDAY + 15 * HOUR)]

    assert free.reach(rules, window) == Window(MONDAY + 9 * HOUR, MONDAY + 15 * HOUR)
    assert starts(rules, window, 60, busy) == ["11:00", "12:00"]


@pytest.mark.parametrize("begins", [True, False])
def test_buffers_longer_than_a_day_once_they_are_on_the_grid(begins: bool) -> None:
    """The time that bits stand for reaches far enough also where a day before the window would just be its edge."""
    grid, buffer = 50 * MINUTE, 1440
    rules = HostRules(
        step_minutes=50, buffer_before_minutes=buffer * begins, buffer_after_minutes=buffer * (not begins)
    )
    edge = reference.up(MONDAY, 512 * grid)
    window = Window(edge + DAY, edge + DAY + grid) if begins else Window(edge - DAY - grid, edge - DAY)
    window = Window(window.start - 2 * grid, window.end + 2 * grid)

    for shift in range(-100, 100, 10):
        asked = Window(window.start + shift * MINUTE, window.end + shift * MINUTE)
        found = free.slots(rules, asked, [], [], grid, EARLY, grid_minutes=50)
        assert found == reference.slots(rules, asked, [], [], grid, EARLY, (), grid)


def test_busy_times_far_longer_than_the_window() -> None:
    rules = HostRules(step_minutes=60)
    window = Window(MONDAY, MONDAY + 3 * HOUR)
    holiday = [Window(MONDAY - 400 * DAY, MONDAY + HOUR), Window(MONDAY + 2 * HOUR, MONDAY + 400 * DAY)]

    assert starts(rules, window, 60, holiday) == ["01:00"]


def test_notice_and_horizon_are_counted_from_now() -> None:
    rules = HostRules(step_minutes=60, minimum_notice_minutes=90, horizon_days=1)
    now = MONDAY + 30 * MINUTE
    found = free.slots(rules, Window(MONDAY, MONDAY + 3 * DAY), [], [], HOUR, now)

    assert (found[0].start, found[-1].start) == (MONDAY + 2 * HOUR, MONDAY + DAY)


def test_full_days_are_the_hosts_own_days() -> None:
    rules = HostRules(time_zone="Pacific/Auckland", step_minutes=720)
    window = Window(at("2030-06-03T00:00", "Pacific/Auckland"), at("2030-06-06T00:00", "Pacific/Auckland"))
    found = free.slots(rules, window, [], [], HOUR, EARLY, {date(2030, 6, 4)})

    assert [reference.local_day(rules, slot.start).day for slot in found] == [3, 3, 5, 5]


def test_a_duration_that_is_not_offered_has_no_slots() -> None:
    rules = HostRules(durations_minutes=[30, 60])

    assert starts(rules, Window(MONDAY, MONDAY + DAY), 45) == []
    assert starts(rules, Window(MONDAY, MONDAY + DAY), 60) != []


def test_a_default_step_that_does_not_fit_the_grid_still_gives_starts_on_the_grid() -> None:
    found = free.slots(HostRules(), Window(MONDAY, MONDAY + 2 * HOUR), [], [], 10 * MINUTE, EARLY, grid_minutes=10)

    assert [slot.start - MONDAY for slot in found] == [n * 30 * MINUTE for n in range(4)]


@pytest.mark.parametrize(
    ("minutes", "window"),
    [
        (0, Window(MONDAY, MONDAY + DAY)),
        (-5, Window(MONDAY, MONDAY + DAY)),
        (7, Window(MONDAY, MONDAY + DAY)),
        (30, Window(datetime.min.replace(tzinfo=UTC), MONDAY)),
        (30, Window(MONDAY, datetime.max.replace(tzinfo=UTC))),
    ],
)
def test_questions_that_make_no_sense_are_refused(minutes: int, window: Window) -> None:
    with pytest.raises(ValueError, match=r"duration must be|must lie in the years"):
        free.slots(HostRules(), window, [], [], minutes * MINUTE, EARLY)


@pytest.mark.parametrize("length", [-DAY, 0 * DAY, 59 * MINUTE])
def test_a_window_too_short_for_a_slot_has_none(length: timedelta) -> None:
    assert free.slots(HostRules(), Window(MONDAY, MONDAY + length), [], [], HOUR, EARLY) == []


def test_no_slot_lies_in_the_hour_that_spring_skips() -> None:
    rules = HostRules(
        time_zone="America/New_York", step_minutes=30, weekly={"sun": [Hours(start="01:00", end="04:00")]}
    )

    assert starts(rules, day(rules, "2030-03-10"), 30) == ["01:00", "01:30", "03:00", "03:30"]
    assert starts(rules, day(rules, "2030-03-17"), 30) == ["01:00", "01:30", "02:00", "02:30", "03:00", "03:30"]


def test_the_hour_that_autumn_repeats_is_offered_twice() -> None:
    rules = HostRules(
        time_zone="America/New_York", step_minutes=30, weekly={"sun": [Hours(start="01:00", end="02:30")]}
    )
    found = free.slots(rules, day(rules, "2030-11-03"), [], [], 30 * MINUTE, EARLY)

    clock = "America/New_York"
    texts = ["01:00", "01:30", "01:00b", "01:30b", "02:00"]
    assert [slot.start for slot in found] == [at(f"2030-11-03T{text}", clock) for text in texts]


def test_steps_go_on_through_the_change_of_clocks() -> None:
    rules = HostRules(
        time_zone="America/New_York", step_minutes=90, weekly={"sun": [Hours(start="00:00", end="06:00")]}
    )

    assert starts(rules, day(rules, "2030-11-03"), 30) == ["00:00", "01:30", "02:00", "03:30", "05:00"]
    assert starts(rules, day(rules, "2030-03-10"), 30) == ["00:00", "01:30", "04:00", "05:30"]


def test_a_slot_may_span_the_change_of_clocks() -> None:
    rules = HostRules(time_zone="Europe/Berlin", step_minutes=60, weekly={"sun": [Hours(start="01:00", end="04:00")]})

    assert starts(rules, day(rules, "2030-03-31"), 120) == ["01:00"]
    assert starts(rules, day(rules, "2030-10-27"), 240) == ["01:00"]


@pytest.mark.parametrize(
    ("zone", "text", "count"),
    [
        ("America/New_York", "2030-03-10", 23),
        ("America/New_York", "2030-11-03", 25),
        ("Europe/Berlin", "2030-03-31", 23),
        ("Europe/Berlin", "2030-10-27", 25),
        ("Australia/Lord_Howe", "2030-04-07", 24.5),
        ("Australia/Lord_Howe", "2030-10-06", 23.5),
        ("Antarctica/Troll", "2030-03-31", 22),
        ("America/Sao_Paulo", "2018-11-04", 23),
        ("America/Sao_Paulo", "2018-02-17", 25),
        ("Pacific/Apia", "2011-12-29", 24),
        ("Pacific/Apia", "2011-12-31", 24),
        ("Asia/Kathmandu", "2030-06-03", 24),
    ],
)
def test_a_whole_day_has_as_many_half_hours_as_it_is_long(zone: str, text: str, count: float) -> None:
    rules = HostRules(time_zone=zone, step_minutes=30, overrides={text: reference.ALL_DAY}, weekly={})
    noon = datetime.fromisoformat(f"{text}T12:00Z")
    found = free.slots(
        rules, Window(noon - 2 * DAY, noon + 2 * DAY), [], [], 30 * MINUTE, datetime(2000, 1, 1, tzinfo=UTC)
    )

    assert len(found) == 2 * count


def test_a_day_that_the_zone_skips_has_no_slots_and_the_night_across_it_goes_on() -> None:
    hours = [Hours(start="22:00", end="24:00"), Hours(start="00:00", end="02:00")]
    rules = HostRules(time_zone="Pacific/Apia", step_minutes=60, weekly={"thu": hours, "fri": hours, "sat": hours})
    window = Window(at("2011-12-29T12:00", "Pacific/Apia"), at("2011-12-31T12:00", "Pacific/Apia"))
    found = free.slots(rules, window, [], [], HOUR, datetime(2011, 1, 1, tzinfo=UTC))

    apia = [slot.start.astimezone(ZoneInfo("Pacific/Apia")) for slot in found]
    assert [f"{local:%d %H:%M}" for local in apia] == ["29 22:00", "29 23:00", "31 00:00", "31 01:00"]


def test_hours_to_midnight_and_from_midnight_are_one_night() -> None:
    rules = HostRules(
        step_minutes=60,
        weekly={"mon": [Hours(start="22:00", end="24:00")], "tue": [Hours(start="00:00", end="02:00")]},
    )

    assert starts(rules, Window(MONDAY, MONDAY + 2 * DAY), 120) == ["22:00", "23:00", "00:00"]


def test_bitmaps_of_busy_times_serve_other_questions_about_the_same_days() -> None:
    rules = HostRules(weekly={"mon": NINE_TO_FIVE}, buffer_after_minutes=10)
    window = Window(MONDAY, MONDAY + DAY)
    busy = [Window(MONDAY + 11 * HOUR, MONDAY + 13 * HOUR)]
    kept = free.bitmap(busy, free.Question(window, 30 * MINUTE, EARLY))
    later = free.Question(Window(MONDAY + 10 * HOUR, MONDAY + 20 * HOUR), 60 * MINUTE, MONDAY)

    expected = free.slots(rules, later.window, busy, [], 60 * MINUTE, MONDAY)
    assert later.frame == free.Question(window, 30 * MINUTE, EARLY).frame
    assert free.windows(free.starts(rules, later, kept), later) == expected
    answer = free.answered(free.starts(rules, later, kept), later)
    assert [(slot.start, slot.end) for slot in answer] == [(slot.start, slot.end) for slot in expected]

"""A host's hours as UTC, against a walk along the wall clock and by example; and single spans judged."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings

from libs.contracts.questions import HostRules, Hours, Weekday
from libs.contracts.reasons import Reason
from services.availability.domain import Window
from services.availability.hours import stretches, timetable
from services.availability.rules import fault, open_windows
from services.availability.zones import known, segments
from tests.unit.availability import reference
from tests.unit.availability.clockwork import DAY, HOUR, MINUTE, odd

NOW = datetime(2030, 6, 1, tzinfo=UTC)
MONDAY = datetime(2030, 6, 3, tzinfo=UTC)
EVERY: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def opened(zone: str, day: str, *stretches: str) -> list[str]:
    """What hours on every day give from noon the day before to noon the day after, as local times with offset, of that day."""
    hours = [Hours(start=one.split("-")[0], end=one.split("-")[1]) for one in stretches]
    rules = HostRules(time_zone=zone, weekly={}, overrides={day: hours})
    noon = datetime.fromisoformat(f"{day}T12:00Z")
    found = open_windows(rules, Window(noon - 2 * DAY, noon + 2 * DAY))
    return [f"{local(w.start, zone)} {local(w.end, zone)} {(w.end - w.start) / HOUR:g}h" for w in found]


def local(at: datetime, zone: str) -> str:
    return at.astimezone(ZoneInfo(zone)).strftime("%H:%M%z")


@settings(max_examples=100, deadline=None)
@given(odd())
def test_hours_are_open_when_the_wall_clock_says_so(given_rules: tuple[HostRules, Window]) -> None:
    rules, window = given_rules

    assert open_windows(rules, window) == reference.open_windows(rules, window)


@pytest.mark.parametrize(
    ("zone", "day", "hours", "expected"),
    [
        # spring: 02:00 to 03:00 does not exist
        ("America/New_York", "2030-03-10", "01:00-05:00", "01:00-0500 05:00-0400 3h"),
        ("America/New_York", "2030-03-10", "02:30-05:00", "03:00-0400 05:00-0400 2h"),
        ("America/New_York", "2030-03-10", "01:00-02:30", "01:00-0500 03:00-0400 1h"),
        ("America/New_York", "2030-03-10", "02:00-03:00", ""),
        ("America/New_York", "2030-03-10", "02:15-02:45", ""),
        ("America/New_York", "2030-03-10", "00:00-24:00", "00:00-0500 00:00-0400 23h"),
        # autumn: 01:00 to 02:00 comes twice
        ("America/New_York", "2030-11-03", "01:00-02:00", "01:00-0400 02:00-0500 2h"),
        ("America/New_York", "2030-11-03", "00:00-24:00", "00:00-0400 00:00-0500 25h"),
        ("America/New_York", "2030-11-03", "00:30-01:30", "00:30-0400 01:30-0400 1h, 01:00-0500 01:30-0500 0.5h"),
        ("America/New_York", "2030-11-03", "01:30-02:30", "01:30-0400 01:00-0500 0.5h, 01:30-0500 02:30-0500 1h"),
        ("Europe/Berlin", "2030-10-27", "02:00-03:00", "02:00+0200 03:00+0100 2h"),
        # by half an hour
        ("Australia/Lord_Howe", "2030-04-07", "01:30-02:00", "01:30+1100 02:00+1030 1h"),
        ("Australia/Lord_Howe", "2030-10-06", "01:30-03:00", "01:30+1030 03:00+1100 1h"),
        ("Australia/Lord_Howe", "2030-10-06", "02:00-02:30", ""),
        # a day that never was
        ("Pacific/Apia", "2011-12-30", "00:00-24:00", ""),
        ("Pacific/Apia", "2011-12-31", "00:00-24:00", "00:00+1400 00:00+1400 24h"),
        # midnight itself
        ("America/Sao_Paulo", "2018-11-04", "00:00-02:00", "01:00-0200 02:00-0200 1h"),
        ("America/Sao_Paulo", "2018-02-17", "23:00-24:00", "23:00-0200 00:00-0300 2h"),
        ("America/Havana", "2030-11-03", "00:00-01:00", "00:00-0400 01:00-0500 2h"),
        (
            "America/St_Johns",
            "2006-10-29",
            "00:00-00:01",
            "00:00-0230 23:01-0330 0.0166667h, 00:00-0330 00:01-0330 0.0166667h",
        ),
    ],
)
def test_hours_on_days_when_the_clocks_change(zone: str, day: str, hours: str, expected: str) -> None:
    assert ", ".join(opened(zone, day, hours)) == expected


def test_hours_that_touch_are_one_window() -> None:
    assert opened("UTC", "2030-06-03", "09:00-12:00", "12:00-17:00") == ["09:00+0000 17:00+0000 8h"]


def test_a_night_goes_on_over_midnight_and_over_the_change_of_clocks() -> None:
    night = [Hours(start="22:00", end="24:00"), Hours(start="00:00", end="06:00")]
    rules = HostRules(time_zone="Europe/Berlin", weekly=dict.fromkeys(EVERY, night))
    noon = datetime(2030, 10, 26, 12, tzinfo=UTC)

    assert [w.end - w.start for w in open_windows(rules, Window(noon, noon + DAY))] == [9 * HOUR]


def test_a_stretch_is_found_whole_from_any_of_its_parts() -> None:
    day = int(datetime(2030, 11, 3, 4, tzinfo=UTC).timestamp())  # midnight in New York, before 25 hours
    table = timetable(HostRules(time_zone="America/New_York"), day, day + 1)

    for hour in (0, 2, 24):
        assert stretches(table, day + hour * 3600, day + hour * 3600 + 1) == [(day, day + 25 * 3600)]


def test_without_hours_everything_is_open() -> None:
    window = Window(MONDAY + timedelta(seconds=1, microseconds=5), MONDAY + 40 * DAY)

    assert open_windows(HostRules(time_zone="America/New_York"), window) == [window]


def test_a_weekday_left_out_is_closed_and_an_override_replaces_its_day() -> None:
    rules = HostRules(
        weekly={"mon": [Hours(start="09:00", end="17:00")], "tue": [Hours(start="09:00", end="17:00")]},
        overrides={"2030-06-04": [], "2030-06-05": [Hours(start="10:00", end="11:00")]},
    )
    found = open_windows(rules, Window(MONDAY, MONDAY + 7 * DAY))

    assert found == [
        Window(MONDAY + 9 * HOUR, MONDAY + 17 * HOUR),
        Window(MONDAY + 2 * DAY + 10 * HOUR, MONDAY + 2 * DAY + 11 * HOUR),
    ]


def test_an_override_counts_on_the_hosts_own_date() -> None:
    rules = HostRules(time_zone="Pacific/Auckland", overrides={"2030-06-04": []})
    closed_at, opens_at = (datetime(2030, 6, d, tzinfo=ZoneInfo("Pacific/Auckland")).astimezone(UTC) for d in (4, 5))

    assert open_windows(rules, Window(MONDAY, MONDAY + 3 * DAY)) == [
        Window(MONDAY, closed_at),
        Window(opens_at, MONDAY + 3 * DAY),
    ]


@pytest.mark.parametrize("length", [0 * DAY, -DAY])
def test_a_window_without_time_has_no_hours(length: timedelta) -> None:
    assert open_windows(HostRules(), Window(MONDAY, MONDAY + length)) == []


def test_no_change_of_clocks_is_missed_in_any_zone() -> None:
    """Changes are looked for days apart. Here every zone is asked for its offset twice a day for a year."""
    first = int(datetime(2029, 12, 20, tzinfo=UTC).timestamp())
    instants = range(first, first + 380 * 86_400, 43_200)

    wrong = [zone for zone in sorted(known()) if _offsets(zone, instants) != _cut(zone, instants)]
    assert wrong == []


def _offsets(zone: str, instants: range) -> list[float]:
    info = ZoneInfo(zone)
    offsets = (datetime.fromtimestamp(at, info).utcoffset() for at in instants)
    return [offset.total_seconds() for offset in offsets if offset is not None]


def _cut(zone: str, instants: range) -> list[float]:
    cuts = segments(zone, instants.start, instants.stop)
    return [offset for start, end, offset in cuts for at in instants if start <= at < end]


HELD_TO = HostRules(
    time_zone="America/New_York",
    weekly={"mon": [Hours(start="09:00", end="17:00")]},
    buffer_before_minutes=60,
    minimum_notice_minutes=120,
    horizon_days=30,
    durations_minutes=[30, 60],
)
NINE = datetime(2030, 6, 3, 13, tzinfo=UTC)  # 09:00 in New York


@pytest.mark.parametrize(
    ("start", "minutes", "now", "reason"),
    [
        (NINE, 60, NOW, None),
        (NINE + 7 * HOUR, 60, NOW, None),
        (NINE + 5 * MINUTE, 60, NOW, None),  # off the step, which is for offers only
        (NINE - 5 * MINUTE, 60, NOW, Reason.OUTSIDE_HOURS),
        (NINE + 8 * HOUR - 30 * MINUTE, 60, NOW, Reason.OUTSIDE_HOURS),
        (NINE + DAY, 60, NOW, Reason.OUTSIDE_HOURS),
        (NINE, 45, NOW, Reason.DURATION_NOT_OFFERED),
        (NINE, 60, NINE - 2 * HOUR, None),
        (NINE, 60, NINE - 2 * HOUR + MINUTE, Reason.TOO_SHORT_NOTICE),
        (NINE, 60, NINE - 30 * DAY, None),
        (NINE, 60, NINE - 30 * DAY - MINUTE, Reason.TOO_FAR_AHEAD),
    ],
)
def test_one_span_is_judged(start: datetime, minutes: int, now: datetime, reason: Reason | None) -> None:
    assert fault(HELD_TO, Window(start, start + minutes * MINUTE), now) == reason


def test_without_rules_of_its_own_a_host_takes_anything() -> None:
    assert fault(HostRules(), Window(MONDAY, MONDAY + 7 * MINUTE), NOW) is None

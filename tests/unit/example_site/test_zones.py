"""Times as the visitor's clock shows them."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from example_site import zones
from example_site.links import Span
from example_site.zones import Clock, clock, first_of

NEW_YORK = Clock(ZoneInfo("America/New_York"))
START = datetime(2020, 1, 1, tzinfo=UTC)
HALF = timedelta(minutes=30)


def every_half_hour(start: datetime, end: datetime) -> list[datetime]:
    return [start + at * HALF for at in range(int((end - start) / HALF))]


@pytest.mark.parametrize(
    ("on", "begins", "hours", "note"),
    [
        (date(2026, 11, 2), 5, 24, ""),
        (date(2026, 3, 8), 5, 23, "the clocks change this day"),
        (date(2026, 11, 1), 4, 25, "the clocks change this day"),
    ],
)
def test_a_day_has_all_its_hours(on: date, begins: int, hours: int, note: str) -> None:
    # given every half hour of a day in New York (in UTC), and of the days around it
    start = datetime(on.year, on.month, on.day, begins, tzinfo=UTC)
    times = every_half_hour(start - timedelta(hours=2), start + timedelta(hours=hours + 2))
    # when they are put into days
    days = {day.date: day for day in NEW_YORK.days(times)}
    # then the day has as many as it has hours, no two with the same label, and says that its clocks change
    assert len(days[on].choices) == 2 * hours
    assert len({choice.label for choice in days[on].choices}) == 2 * hours
    assert days[on].note == note


def test_an_hour_that_comes_twice_says_which_it_is() -> None:
    # given 1:30 before and after the clocks go back
    twice = [datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 30, tzinfo=UTC)]
    assert [NEW_YORK.time(at) for at in twice] == ["01:30 EDT", "01:30 EST"]
    # and where the zone has no name for it, the offset
    sao_paulo = Clock(ZoneInfo("America/Sao_Paulo"))
    assert sao_paulo.time(datetime(2018, 2, 18, 2, 30, tzinfo=UTC)) == "23:30 UTC-03"
    # and any other time says nothing of the sort
    assert NEW_YORK.time(datetime(2026, 11, 1, 7, 30, tzinfo=UTC)) == "02:30"


def test_an_hour_that_does_not_exist_is_not_shown() -> None:
    labels = [NEW_YORK.time(at) for at in every_half_hour(*[datetime(2026, 3, 8, hour, tzinfo=UTC) for hour in (6, 8)])]
    assert labels == ["01:00", "01:30", "03:00", "03:30"]


@given(
    start=st.integers(0, 15 * 366 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes)),
    zone=st.sampled_from(["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata"]),
)
def test_what_a_choice_leads_to_is_the_instant_it_stands_for(start: datetime, zone: str) -> None:
    # given a free time, shown anywhere
    [day] = Clock(ZoneInfo(zone)).days([start])
    # then its address is that very instant, and its day is that of the local clock
    assert datetime.fromisoformat(day.choices[0].start) == start
    assert day.date == start.astimezone(ZoneInfo(zone)).date()


def test_times_are_written_as_the_visitor_is_used_to() -> None:
    at = datetime(2026, 12, 1, 18, 5, tzinfo=UTC)
    assert clock("Europe/Berlin", "UTC", "de-DE,de;q=0.9").time(at) == "19:05"
    assert clock("America/New_York", "UTC", "en-US,en;q=0.9").time(at) == "1:05 pm"
    assert clock("America/New_York", "UTC", "en-US").time(at.replace(hour=5)) == "12:05 am"


def test_an_appointment_over_midnight_names_both_days() -> None:
    span = Span(datetime(2026, 12, 2, 4, 45, tzinfo=UTC), datetime(2026, 12, 2, 5, 15, tzinfo=UTC))
    assert NEW_YORK.when(span) == "Tuesday 1 December 2026, 23:45 to Wednesday 2 December, 00:15"


@pytest.mark.parametrize("zone", [None, "", "Mars/Olympus", "../etc/passwd", "America/New_York\n"])
def test_a_zone_that_is_none_gives_the_sites_own(zone: str | None) -> None:
    assert clock(zone, "Asia/Kolkata").zone.key == "Asia/Kolkata"


def test_only_whole_days_are_put_on_a_page() -> None:
    # given three days of 48 times
    start = datetime(2026, 12, 1, 5, tzinfo=UTC)
    days = NEW_YORK.days(every_half_hour(start, start + timedelta(days=3)))
    # when there is room for two and a bit, then two are shown, and the third comes next
    shown, later = first_of(days, 100)
    assert (list(shown), later) == (days[:2], days[2])
    # and one day is shown even where there is not room for it
    assert first_of(days, 10) == (days[:1], days[1])
    assert first_of(days, 1000) == (days, None)
    assert first_of([], 10) == ([], None)


def test_every_zone_that_can_be_chosen_is_one() -> None:
    offered = [name for _, names in zones.by_region() for name in names]
    assert len(offered) > 300
    assert set(offered) <= zones.names()

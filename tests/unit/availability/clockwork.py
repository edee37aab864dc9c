"""Hosts' rules and times around which clocks do something odd, for properties. Made up throughout."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from libs.contracts.questions import HostRules, Hours, Weekday
from services.availability.domain import Window

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ODD_DAYS = [
    ("UTC", (2030, 1, 1)),
    ("America/New_York", (2030, 3, 10)),
    ("America/New_York", (2030, 11, 3)),
    ("Europe/Berlin", (2030, 3, 31)),
    ("Europe/Berlin", (2030, 10, 27)),
    ("Europe/Dublin", (2030, 10, 27)),  # winter is the one with daylight saving, and it is negative
    ("Australia/Lord_Howe", (2030, 4, 6)),  # by half an hour
    ("Australia/Lord_Howe", (2030, 10, 5)),
    ("Pacific/Apia", (2011, 12, 30)),  # skipped
    ("Pacific/Kwajalein", (1993, 8, 21)),  # skipped
    ("Pacific/Chatham", (2030, 4, 6)),  # by the quarter hour
    ("Asia/Kathmandu", (2030, 6, 1)),
    ("Asia/Beirut", (2030, 3, 31)),  # midnight does not exist
    ("America/Sao_Paulo", (2018, 11, 4)),  # neither here
    ("America/Sao_Paulo", (2018, 2, 18)),  # the last hour of the day twice
    ("America/Havana", (2030, 11, 3)),  # the first hour twice
    ("America/St_Johns", (2006, 10, 29)),  # at 00:01 back to the day before
    ("America/St_Johns", (2006, 4, 2)),
    ("Africa/Casablanca", (2030, 1, 5)),  # an hour less in Ramadan
    ("Antarctica/Troll", (2030, 3, 31)),  # by two hours
    ("Asia/Pyongyang", (2018, 5, 4)),  # half an hour, for good
    ("America/Caracas", (2016, 5, 1)),
]


def spelled(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@st.composite
def hours(draw: st.DrawFn) -> list[Hours]:
    """Up to three stretches of one day, in order, that may touch."""
    minute = st.integers(0, 96).map(lambda n: n * 15) | st.integers(0, 288).map(lambda n: n * 5) | st.integers(0, 1440)
    edges = sorted(draw(st.lists(minute, min_size=0, max_size=6, unique=True)))
    if draw(st.booleans()) and len(edges) >= 4:
        edges[2] = edges[1]
    return [Hours(start=spelled(a), end=spelled(b)) for a, b in zip(edges[::2], edges[1::2], strict=False) if a < b]


WHOLE = [Hours(start="00:00", end="24:00")]
WEEK: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
A_DAY: st.SearchStrategy[list[Hours]] = hours() | st.just(WHOLE) | st.just([])


def every_day(hours: list[Hours]) -> dict[Weekday, list[Hours]]:
    return dict.fromkeys(WEEK, hours)


@st.composite
def odd(draw: st.DrawFn) -> tuple[HostRules, Window]:
    """Rules, and a window of up to a day and a half around a day on which the host's clocks do something."""
    zone, day = draw(st.sampled_from(ODD_DAYS))
    middle = datetime(*day, tzinfo=UTC)
    start = middle + draw(st.integers(-36 * 60, 36 * 60)) * MINUTE
    window = Window(start, start + draw(st.integers(1, 36 * 60)) * MINUTE)
    days = [(middle + n * DAY).date().isoformat() for n in (-1, 0, 1)]
    weekly = st.none() | st.dictionaries(st.sampled_from(WEEK), A_DAY, min_size=4) | hours().map(every_day)
    rules = HostRules(
        time_zone=zone,
        weekly=draw(weekly),
        overrides=draw(st.dictionaries(st.sampled_from(days), A_DAY, max_size=2)),
        buffer_before_minutes=draw(st.sampled_from([0, 0, 5, 7, 60])),
        buffer_after_minutes=draw(st.sampled_from([0, 0, 10, 13, 90])),
        minimum_notice_minutes=draw(st.sampled_from([0, 0, 61, 1440])),
        horizon_days=draw(st.sampled_from([None, None, 1, 2])),
        step_minutes=draw(st.sampled_from([5, 15, 20, 35, 60, 90])),
        durations_minutes=draw(st.sampled_from([[], [30, 45, 60]])),
    )
    return rules, window


@st.composite
def blocks(draw: st.DrawFn, window: Window) -> list[Window]:
    """A few busy times in and around the window, mostly off the grid, some of no length."""
    starts = st.integers(-180, int((window.end - window.start) / MINUTE) + 180)
    spans = draw(st.lists(st.tuples(starts, st.sampled_from([0, 1, 5, 25, 60, 300]), st.integers(0, 59)), max_size=5))
    return [
        Window(window.start + at * MINUTE + timedelta(seconds=odd), window.start + (at + length) * MINUTE)
        for at, length, odd in spans
        if length or not odd
    ]

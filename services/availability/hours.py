"""A host's wall-clock hours as stretches of UTC, in zones whose clocks jump. Pure.

Every instant whose wall-clock time lies inside the hours of its local day is open: an hour that a zone skips is never open, an
hour that exists twice is open twice. Instants are whole seconds since 1970-01-01T00:00Z.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from libs.contracts.questions import HostRules, Hours, Weekday
from services.availability.zones import DAY, segments

Stretch = tuple[int, int]
"""A half-open interval of seconds: of UTC, or of a day by the wall clock."""
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FIRST = date(1970, 1, 1).toordinal()
_THURSDAY = 3  # 1970-01-01
_LONGEST_DAY = 2 * DAY  # a local day and every change of clocks around it


class Timetable(NamedTuple):
    """Hours by weekday, Monday first, and those of single days (by days since 1970-01-01). Hashable, unlike the rules."""

    zone: str
    week: tuple[tuple[Stretch, ...], ...]
    days: tuple[tuple[int, tuple[Stretch, ...]], ...] = ()


ALL_DAY = ((0, DAY),)
ALL_WEEK = (ALL_DAY,) * 7


def timetable(rules: HostRules, start: int, end: int) -> Timetable:
    """What the rules say of the time [start, end)."""
    week: tuple[tuple[Stretch, ...], ...] = ALL_WEEK
    if rules.weekly is not None:
        week = tuple(_of_day(rules.weekly.get(name, [])) for name in WEEKDAYS)
    if not rules.overrides:
        return Timetable(rules.time_zone, week)
    first, last = (_date(at // DAY).isoformat() for at in (start - _LONGEST_DAY, end + _LONGEST_DAY))
    days = ((text, hours) for text, hours in rules.overrides.items() if first <= text <= last)
    special = ((day_number(date.fromisoformat(text)), _of_day(hours)) for text, hours in days)
    return Timetable(rules.time_zone, week, tuple(sorted(special)))


def stretches(table: Timetable, start: int, end: int) -> list[Stretch]:
    """Every stretch of hours that touches [start, end), whole and not cut to it, in order.

    One stretch is the time without a break that one entry of the hours gives on one local day: neighbours may touch.
    """
    found: list[Stretch] = []
    last = None
    for entry, lo, hi in _pieces(table, start - _LONGEST_DAY, end + _LONGEST_DAY):
        if found and entry == last and found[-1][1] == lo:
            found[-1] = (found[-1][0], hi)  # the clocks jump within the stretch
        else:
            found.append((lo, hi))
        last = entry
    return [(lo, hi) for lo, hi in found if lo < end and hi > start]


def merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The same time with touching and overlapping stretches as one. They must be sorted by start."""
    joined: list[Stretch] = []
    for lo, hi in stretches:
        if joined and lo <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(hi, joined[-1][1]))
        else:
            joined.append((lo, hi))
    return joined


def local_day(zone: str, day: date) -> list[Stretch]:
    """When it is that day in the zone: one stretch in most cases, none if the zone skips the day."""
    at = day_number(day)
    only = Timetable(zone, ((),) * 7, ((at, ALL_DAY),))
    return stretches(only, (at - 1) * DAY, (at + 2) * DAY)


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return day.toordinal() - _FIRST


def _date(number: int) -> date:
    return date.fromordinal(number + _FIRST)


def _pieces(table: Timetable, start: int, end: int) -> Iterator[tuple[tuple[int, int], int, int]]:
    """The hours within each stretch of constant offset: ((day, entry's number), start, end)."""
    special = dict(table.days)
    for since, until, offset in segments(table.zone, start, end):
        local_since, local_until = since + offset, until + offset
        for day in range(local_since // DAY, (local_until - 1) // DAY + 1):
            midnight = day * DAY
            for number, (opens, closes) in enumerate(special.get(day, table.week[(day + _THURSDAY) % 7])):
                lo, hi = max(midnight + opens, local_since), min(midnight + closes, local_until)
                if lo < hi:
                    yield (day, number), lo - offset, hi - offset


def _of_day(hours: Iterable[Hours]) -> tuple[Stretch, ...]:
    return tuple(sorted((_clock(one.start), _clock(one.end)) for one in hours))


@lru_cache(maxsize=1441)
def _clock(text: str) -> int:
    """HH:MM in seconds since midnight."""
    return int(text[:2]) * 3600 + int(text[3:]) * 60

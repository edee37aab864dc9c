"""Times as the visitor's clock shows them, over days of 23, 24 and 25 hours."""

import zoneinfo
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import groupby
from zoneinfo import ZoneInfo

from example_site.links import Span

# Languages whose readers expect 2:30 pm and not 14:30 (CLDR's hour cycle for English).
TWELVE_HOURS = ("en-us", "en-ca", "en-au", "en-nz", "en-in", "en-ph")


@dataclass(frozen=True, slots=True)
class Clock:
    """How a visitor reads times: in which zone, and with 12 or 24 hours."""

    zone: ZoneInfo
    twelve: bool = False

    def time(self, at: datetime) -> str:
        """The time of day; where it comes twice in a day, with the zone's abbreviation that tells which."""
        local = at.astimezone(self.zone)
        text = f"{local:%I:%M} {local:%p}".lstrip("0").lower() if self.twelve else f"{local:%H:%M}"
        return f"{text} {_abbreviation(local)}" if _comes_twice(local) else text

    def day(self, on: date) -> str:
        """Such as Tuesday 1 December."""
        return f"{on:%A} {on.day} {on:%B}"

    def when(self, span: Span) -> str:
        """Such as: Tuesday 1 December 2026, 10:00 to 10:30."""
        start, end = span.start.astimezone(self.zone), span.end.astimezone(self.zone)
        until = "" if start.date() == end.date() else f"{self.day(end.date())}, "
        return f"{self.day(start.date())} {start.year}, {self.time(span.start)} to {until}{self.time(span.end)}"

    def days(self, starts: Iterable[datetime]) -> "list[Day]":
        """Instants by the day on which they lie here. They must be in order."""
        local = (start.astimezone(self.zone) for start in starts)
        return [Day(on, list(times), self) for on, times in groupby(local, key=datetime.date)]


@dataclass(frozen=True, slots=True)
class Choice:
    """A time that can be chosen: as addresses have it (UTC), and as people read it."""

    start: str
    label: str


@dataclass(frozen=True, slots=True)
class Day:
    """A day with its free times. Most days of a page are only named, so texts are made when they are asked for."""

    date: date
    times: Sequence[datetime]
    clock: Clock

    @property
    def label(self) -> str:
        """Such as Tuesday 1 December."""
        return self.clock.day(self.date)

    @property
    def short(self) -> str:
        """Such as Tue 1."""
        return f"{self.date:%a} {self.date.day}"

    @property
    def note(self) -> str:
        """Says so if the clocks change."""
        return "the clocks change this day" if hours_of(self.date, self.clock.zone) != 24 else ""

    @property
    def first(self) -> str:
        """Its first free time, as addresses have it."""
        return stamp(self.times[0])

    @property
    def choices(self) -> Sequence[Choice]:
        """Its free times."""
        return [Choice(stamp(at), self.clock.time(at)) for at in self.times]


def first_of(days: Sequence[Day], most: int) -> tuple[Sequence[Day], Day | None]:
    """Whole days with about `most` times together, at least one day; and the day after them, if there is one."""
    shown, count = 0, 0
    while shown < len(days) and (shown == 0 or count + len(days[shown].times) <= most):
        count += len(days[shown].times)
        shown += 1
    return days[:shown], days[shown] if shown < len(days) else None


def clock(zone: str | None, fallback: str, languages: str = "") -> Clock:
    """The visitor's clock; `fallback` where no zone is given, or none that is known."""
    first = languages.partition(",")[0].strip().lower()
    return Clock(ZoneInfo(zone if zone in names() else fallback), first.startswith(TWELVE_HOURS))


@cache
def names() -> frozenset[str]:
    """Every zone of the IANA database that is known here."""
    return frozenset(zoneinfo.available_timezones())


@cache
def by_region() -> Sequence[tuple[str, Sequence[str]]]:
    """Zones to choose from: those named after a place, and UTC."""
    regions = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
    found = [(region, sorted(name for name in names() if name.startswith(f"{region}/"))) for region in regions]
    return [("UTC", ["UTC"]), *found]


def stamp(at: datetime) -> str:
    """An instant as addresses have it: 2026-12-01T15:00Z."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def hours_of(on: date, zone: ZoneInfo) -> float:
    """How many hours a day has in a zone: 24, or 23 and 25 where the clocks change."""
    start, end = (datetime.combine(day, time(), zone).astimezone(UTC) for day in (on, on + timedelta(days=1)))
    return (end - start) / timedelta(hours=1)


def _comes_twice(local: datetime) -> bool:
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


def _abbreviation(local: datetime) -> str:
    name = local.tzname() or ""
    return name if name.isalpha() else f"UTC{name}"

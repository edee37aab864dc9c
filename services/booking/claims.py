"""What a booking claims, so that no other can have it: the cells of its time, and a number among a day's bookings. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

NOTHING = timedelta(0)


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open interval [start, end) at a host."""

    host: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Terms:
    """What a host wants kept between bookings, and how many a day (in the IANA zone `zone`); grows newer by `version`."""

    host: str
    version: int
    zone: str = "UTC"
    before: timedelta = NOTHING
    after: timedelta = NOTHING
    daily_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Claimant:
    """What stands in the way: a booking's claims, and when it starts (at two times while it moves)."""

    id: str
    starts: tuple[datetime, ...]
    claims: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """A day of a host's, in the host's zone."""

    host: str
    date: date
    zone: str

    @property
    def span(self) -> Span:
        """From midnight to midnight, 23 to 25 hours."""
        first, last = (datetime.combine(d, time(), ZoneInfo(self.zone)) for d in (self.date, self.date + timedelta(1)))
        return Span(self.host, first.astimezone(UTC), last.astimezone(UTC))

    def has(self, start: datetime) -> bool:
        """Whether a booking that starts then counts on this day."""
        return start.astimezone(ZoneInfo(self.zone)).date() == self.date

    def claim(self, number: int) -> str:
        """The claim of one of the day's places."""
        return f"{self.prefix}{number}"

    @property
    def prefix(self) -> str:
        """With the zone: by another zone's clocks other bookings are on the day, and their places are no places here."""
        return f"{self.host}/day/{self.zone}/{self.date.isoformat()}/"


def cells(span: Span, grid: timedelta, terms: Terms | None = None) -> tuple[str, ...]:
    """The grid cells of the interval with the host's buffers around it.

    Without buffers two intervals of a host overlap exactly if they share one; with buffers, if either comes too near.
    """
    size = int(grid.total_seconds())
    before, after = (terms.before, terms.after) if terms else (NOTHING, NOTHING)
    first = int((span.start - before).timestamp()) // size
    last = -(-int((span.end + after).timestamp()) // size)
    return tuple(f"{span.host}/{cell}" for cell in range(first, last))


def day_of(span: Span, terms: Terms) -> Day:
    """The day on which an interval counts."""
    return Day(span.host, span.start.astimezone(ZoneInfo(terms.zone)).date(), terms.zone)


def is_day(claim: str) -> bool:
    """Whether a claim is one of a day's places, not a cell."""
    return "/day/" in claim


def places(day: Day, limit: int, claimants: Iterable[Claimant]) -> list[int]:
    """The places of a day that are free: as many as are left below the limit, whatever places the bookings have that start then.

    What was booked before there was a limit, or while the host was in another zone, has no place of its own; after a lower
    limit places beyond it are taken: all count. Two rivals who see the same last place both claim it, and the unique index
    lets one of them.
    """
    there, taken = 0, set[int]()
    for claimant in claimants:
        there += any(day.has(start) for start in claimant.starts)
        taken.update(int(claim.removeprefix(day.prefix)) for claim in claimant.claims if claim.startswith(day.prefix))
    return [number for number in range(limit) if number not in taken][: max(0, limit - there)]


def kept_place(claims: Sequence[str], day: Day) -> tuple[str, ...]:
    """The place that a booking has on this day already."""
    return tuple(claim for claim in claims if claim.startswith(day.prefix))

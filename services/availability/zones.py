"""Time zones as stretches of constant offset, so that wall-clock times become instants by plain addition. Pure.

Instants are whole seconds since 1970-01-01T00:00Z.
"""

from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

DAY = 86_400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
_OF_THE_MACHINE = {"localtime", "Factory"}
"""Names that files of the tz database have, and that name no zone."""
_PROBE = 3 * DAY
"""In all of the tz database no zone has ever changed twice, or is going to, within less than 167 hours."""


@cache
def known() -> frozenset[str]:
    """The names of all IANA zones. Reads a folder the first time."""
    return frozenset(available_timezones() - _OF_THE_MACHINE)


def seconds(at: datetime) -> int:
    """The instant in whole seconds, rounded down. Any offset will do."""
    since = at - EPOCH
    return since.days * DAY + since.seconds


def seconds_up(at: datetime) -> int:
    """The instant in whole seconds, rounded up."""
    until = EPOCH - at
    return -(until.days * DAY + until.seconds)


def instant(at: int) -> datetime:
    """The instant in UTC."""
    return EPOCH + at * SECOND


def segments(zone: str, start: int, end: int) -> list[tuple[int, int, int]]:
    """[start, end) cut where the zone's offset changes: (start, end, offset in seconds).

    Raises zoneinfo.ZoneInfoNotFoundError.
    """
    edges = [start, *(at for at in _changes_within(zone, start, end) if start < at < end), end]
    return [(a, b, _offset(zone, a)) for a, b in pairwise(edges)]


def _changes_within(zone: str, start: int, end: int) -> list[int]:
    years = range(instant(start).year, instant(end).year + 1)
    return [at for year in years for at in _changes(zone, year)]


@lru_cache(maxsize=4096)
def _changes(zone: str, year: int) -> tuple[int, ...]:
    """When the offset changes during a year of UTC."""
    first, last = (seconds(datetime(y, 1, 1, tzinfo=UTC)) for y in (year, year + 1))
    probes = [*range(first, last, _PROBE), last]
    offsets = [_offset(zone, at) for at in probes]
    return tuple(
        _change(zone, probes[i], probes[i + 1]) for i in range(len(probes) - 1) if offsets[i] != offsets[i + 1]
    )


def _change(zone: str, before: int, after: int) -> int:
    """The first second of the offset that stands at `after`."""
    offset = _offset(zone, after)
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (before, middle) if _offset(zone, middle) == offset else (middle, after)
    return after


def _offset(zone: str, at: int) -> int:
    offset = datetime.fromtimestamp(at, ZoneInfo(zone)).utcoffset() or timedelta(0)
    return offset.days * DAY + offset.seconds

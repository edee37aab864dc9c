"""When the demonstration books: in the future, on the grid, and never twice the same time.

A run takes a block of two hours at both hosts, the one after the block that the run before took. Claims outlive the
sandbox's calendars, so that free time in a calendar alone does not say that a time was never used.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from deploy.cli.errors import Trouble
from deploy.demo.people import ZONE

HOURS = (9, 11, 13, 15)  # when blocks begin, by the clocks of ZONE: within the hosts' hours
LENGTH = timedelta(hours=2)
SOONEST, LATEST = timedelta(days=2), timedelta(days=300)  # within the default horizon of 365 days
TRIES = 40

Interval = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Block:
    """Two hours from `start` (UTC)."""

    start: datetime

    def at(self, minutes: int) -> datetime:
        """So many minutes into the block."""
        return self.start + timedelta(minutes=minutes)

    @property
    def end(self) -> datetime:
        return self.start + LENGTH


def blocks(now: datetime, last: datetime | None) -> Iterator[Block]:
    """The blocks that may be taken: soon, but after the last one that was."""
    day = (now + SOONEST).astimezone(ZoneInfo(ZONE)).date()
    if last is not None:
        day = max(day, last.astimezone(ZoneInfo(ZONE)).date())
    while _on(day, HOURS[0]) < now + LATEST:
        for hour in HOURS:
            block = Block(_on(day, hour))
            if last is None or block.start > last:
                yield block
        day += timedelta(days=1)


def take(file: Path, now: datetime, free: Callable[[Block], bool]) -> Block:
    """The next block that is free, noted in `file` as taken. Raises Trouble if there is none."""
    for _, block in zip(range(TRIES), blocks(now, _last(file)), strict=False):
        file.write_text(json.dumps({"last": block.start.isoformat()}) + "\n", encoding="utf-8")
        if free(block):
            return block
    raise Trouble("no free time is left for the demonstration", "begin afresh with `make clean`")


def covered(wanted: Interval, free: Sequence[Interval]) -> bool:
    """Whether free intervals together leave no gap in the wanted one."""
    at = wanted[0]
    for start, end in sorted(free):
        if start > at:
            break
        at = max(at, end)
    return at >= wanted[1]


def _on(day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour), ZoneInfo(ZONE)).astimezone(UTC)


def _last(file: Path) -> datetime | None:
    try:
        return datetime.fromisoformat(json.loads(file.read_text(encoding="utf-8"))["last"])
    except (OSError, ValueError, KeyError, TypeError):
        return None

"""Two of the bookings moved and one cancelled, and what must become of each."""

import secrets
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from deploy.cli.change import Asked, Change
from deploy.demo.bookings import SOURCE, Row
from deploy.demo.people import DemoHost
from deploy.demo.times import Block
from libs.contracts.events import CancellationRequested, RequestRef, RescheduleRequested

Span = tuple[datetime, datetime]
WANTED = {"moved": "moved, the entry with it", "cancelled": "cancelled, the entry gone"}


@dataclass(slots=True)
class ChangeRow:
    """A change of the booking in `of`."""

    label: str
    of: Row
    journey: Change
    expected: Literal["moved", "cancelled", "refused"]
    reason: str | None = None

    @property
    def who(self) -> DemoHost:
        """Whose booking it is."""
        return self.of.who

    @property
    def over(self) -> bool:
        """Whether nothing more is to come."""
        return self.journey.over

    @property
    def wanted(self) -> str:
        """What must become of it, in words."""
        return WANTED.get(self.expected, f"{self.expected} ({self.reason})")

    @property
    def as_expected(self) -> bool:
        """Whether it came out as it must, in the calendar too."""
        found = self.journey
        in_calendar = self.expected in WANTED
        return (found.outcome, found.reason, found.in_calendar) == (self.expected, self.reason, in_calendar)


def moves(block: Block, rows: Sequence[Row]) -> Sequence[ChangeRow]:
    """Those that are asked for at once: to a time that overlaps the booking's own entry, and to one that is taken."""
    google, early, *_ = rows
    return (
        ChangeRow("moved 15 min later", google, _move(google, block, (15, 45)), "moved"),
        ChangeRow("moved to a taken time", early, _move(early, block, (45, 90)), "refused", "time-taken"),
    )


def cancellations(rows: Sequence[Row]) -> Sequence[ChangeRow]:
    """What comes when the moves are decided, for it frees the time that was taken."""
    later = rows[2]
    return (ChangeRow("cancelled", later, _change(CancellationRequested(booking=_id(later))), "cancelled"),)


def final(row: Row, changes: Iterable[ChangeRow]) -> Span | None:
    """When the booking must stand after these changes; None if it must not."""
    span: Span | None = row.span
    for change in changes:
        if change.of is row and change.expected in WANTED:
            data = change.journey.data
            span = (data.start, data.end) if isinstance(data, RescheduleRequested) else None
    return span


def _move(row: Row, block: Block, minutes: tuple[int, int]) -> Change:
    start, end = (block.at(minute) for minute in minutes)
    return _change(RescheduleRequested(booking=_id(row), start=start, end=end))


def _change(data: Asked) -> Change:
    return Change(RequestRef(source=SOURCE, id=str(uuid.uuid4())), data, secrets.token_hex(16), time.monotonic())


def _id(row: Row) -> str:
    booking = row.journey.booking
    if booking is None:
        raise ValueError(f"{row.label} has no booking")
    return booking

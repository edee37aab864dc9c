"""The demonstration's changes of bookings, their judgement, and what must stand after them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.cli.journey import Heard
from deploy.demo import bookings, changes, standing, times
from deploy.demo.bookings import Row
from deploy.demo.changes import ChangeRow
from libs.contracts import codec
from libs.contracts.events import (
    BookingCancelled,
    BookingConfirmed,
    BookingRescheduled,
    CalendarEventRemoved,
    CalendarEventWritten,
    ChangeRefused,
    Event,
    RescheduleRequested,
)
from libs.contracts.reasons import Reason

BLOCK = times.Block(datetime(2030, 5, 20, 13, 0, tzinfo=UTC))
IDS = tuple(f"bk_{letter * 26}" for letter in "abc")


def booked() -> list[Row]:
    """The bookings that are confirmed, with their ids."""
    rows = list(bookings.first(BLOCK))[: len(IDS)]
    for row, id in zip(rows, IDS, strict=True):
        row.journey.sent = 1.0
        fact = BookingConfirmed(booking=id, version=2, request=row.journey.request, host=row.who.host)
        row.journey.hear(Heard("booking-confirmed", 2.0, None, fact))
    return rows


def asked(rows: Sequence[Row]) -> list[ChangeRow]:
    return [*changes.moves(BLOCK, rows), *changes.cancellations(rows)]


def tell(row: ChangeRow, data: Event) -> None:
    event = codec.event(data, id="e", source="urn:valet:test", time=BLOCK.start)
    row.journey.hear(codec.read(codec.encode(event), codec.STRUCTURED, {}), row.journey.sent + 1)


def decide(row: ChangeRow, kind: Any) -> None:
    mine, first = row.journey.request, row.of.journey.request
    if kind is ChangeRefused:
        tell(row, ChangeRefused(request=mine, asked="reschedule", reason=Reason.TIME_TAKEN))
    else:
        tell(row, kind(booking=row.journey.data.booking, version=4, request=first, change=mine))


def effect(row: ChangeRow, kind: Any) -> None:
    who = row.who
    tell(row, kind(booking=row.journey.data.booking, version=4, host=who.host, provider=who.provider, attempt=1))


def test_the_changes_are_what_was_promised() -> None:
    rows = booked()
    found = [(row.of.label, row.who.provider, row.expected, row.reason) for row in asked(rows)]
    assert found == [
        ("Google, free", "google", "moved", None),
        ("Microsoft, free", "microsoft", "refused", "time-taken"),
        ("Microsoft, later", "microsoft", "cancelled", None),
    ]


def test_the_new_times_lie_in_the_block_as_their_outcomes_need() -> None:
    google, _, later = rows = booked()
    moved, taken, _ = (row.journey.data for row in asked(rows))
    assert isinstance(moved, RescheduleRequested)
    assert isinstance(taken, RescheduleRequested)
    assert google.data.start < moved.start < google.data.end < moved.end <= BLOCK.at(bookings.BUSY[0])
    assert moved.end - moved.start == google.data.end - google.data.start
    assert later.data.start < taken.end <= BLOCK.end
    assert taken.start < later.data.end


def test_changes_that_come_out_right_are_as_expected_once_the_calendar_says_so() -> None:
    moved, taken, cancelled = rows = asked(booked())
    decide(moved, BookingRescheduled)
    decide(taken, ChangeRefused)
    decide(cancelled, BookingCancelled)
    assert [row.as_expected for row in rows] == [False, True, False]
    assert [row.over for row in rows] == [False, True, False]
    effect(moved, CalendarEventWritten)
    effect(cancelled, CalendarEventRemoved)
    assert all(row.as_expected and row.over for row in rows)


def test_changes_that_come_out_otherwise_are_not() -> None:
    moved, taken, cancelled = rows = asked(booked())
    decide(moved, ChangeRefused)
    decide(taken, BookingRescheduled)
    effect(taken, CalendarEventWritten)
    assert not any(row.as_expected for row in rows)
    assert not cancelled.over


class Stage:
    """A stage whose sandbox has these entries, and whose booking service says this of the bookings."""

    def __init__(self, entries: dict[str, list[dict[str, Any]]], told: dict[str, Any]) -> None:
        self.sandbox = self
        self._entries, self._told = entries, told

    def events(self, provider: str, account: str, raw: bool) -> list[dict[str, Any]]:
        return self._entries.get(provider, [])

    def questions(self, service: str, method: str, ids: list[str]) -> dict[str, Any]:
        return {id: self._told.get(id) for id in ids}


def entry(start: int, end: int, version: int = 1, **more: Any) -> dict[str, Any]:
    span = {"start": BLOCK.at(start).isoformat(), "end": BLOCK.at(end).isoformat()}
    return {**span, "version": version, "origin": "api", "cancelled": False, **more}


def says(id: str, state: str, start: int, end: int) -> dict[str, Any]:
    span = {"start": BLOCK.at(start).isoformat(), "end": BLOCK.at(end).isoformat()}
    return {"booking": id, "state": state, "version": 4, **span}


TOLD = {
    IDS[0]: says(IDS[0], "confirmed", 15, 45),
    IDS[1]: says(IDS[1], "confirmed", 0, 45),
    IDS[2]: says(IDS[2], "cancelled", 60, 90),
}
GOOGLE, MICROSOFT = [entry(15, 45, version=2), entry(60, 120, origin="outside")], [entry(0, 45)]


def judged(
    google: list[dict[str, Any]], microsoft: list[dict[str, Any]], told: dict[str, Any]
) -> tuple[list[bool], int]:
    """Whether each booking stands as it must, and the count of strays."""
    rows, stage = booked(), Stage({"google": google, "microsoft": microsoft}, told)
    made: Any = stage
    found = standing.standing(made, rows, asked(rows))
    return [one.good for one in found], standing.strays(made, rows, asked(rows), BLOCK)


def test_calendar_and_store_as_they_must_be() -> None:
    assert judged(GOOGLE, MICROSOFT, TOLD) == ([True, True, True], 0)


@pytest.mark.parametrize(
    ("google", "microsoft", "good", "strays"),
    [
        ([*GOOGLE, entry(0, 30)], MICROSOFT, [True, True, True], 1),  # the entry at the old time was left behind
        ([entry(15, 45)], MICROSOFT, [False, True, True], 0),  # made anew instead of moved
        ([*GOOGLE, *GOOGLE], MICROSOFT, [False, True, True], 0),  # twice
        ([entry(15, 45, 2, cancelled=True)], MICROSOFT, [False, True, True], 0),  # gone
        (GOOGLE, [entry(0, 45), entry(60, 90)], [True, True, False], 1),  # cancelled, but still there
        (GOOGLE, [entry(45, 90, 2)], [True, False, True], 1),  # moved, although that was refused
        (GOOGLE, [entry(0, 45, origin="outside")], [True, False, True], 0),  # somebody else's
    ],
)
def test_a_calendar_that_is_otherwise_is_seen(
    google: list[dict[str, Any]], microsoft: list[dict[str, Any]], good: list[bool], strays: int
) -> None:
    assert judged(google, microsoft, TOLD) == (good, strays)


@pytest.mark.parametrize(
    ("at", "told"),
    [
        (0, says(IDS[0], "confirmed", 0, 30)),
        (1, says(IDS[1], "confirmed", 45, 90)),
        (1, None),
        (2, says(IDS[2], "confirmed", 60, 90)),
    ],
)
def test_a_booking_service_that_says_otherwise_is_seen(at: int, told: dict[str, Any] | None) -> None:
    good, _ = judged(GOOGLE, MICROSOFT, {**TOLD, IDS[at]: told})
    assert good == [number != at for number in range(3)]


def test_without_changes_the_bookings_must_stand_as_they_were_made() -> None:
    rows = booked()
    stage: Any = Stage(
        {"google": [entry(0, 30)], "microsoft": [entry(0, 45), entry(60, 90)]},
        {id: says(id, "confirmed", *span) for id, span in zip(IDS, [(0, 30), (0, 45), (60, 90)], strict=True)},
    )
    assert [one.good for one in standing.standing(stage, rows, [])] == [True, True, True]
    assert standing.strays(stage, rows, [], BLOCK) == 0

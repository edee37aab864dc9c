"""An erasure whose process is killed at any write ends as one that nobody disturbed."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from libs.contracts.events import CancellationRequested
from libs.testing.events import incoming, requested
from services.booking.changes import change_bookings
from services.booking.erasure import Course
from tests.unit.booking.house import BOB, Fate, House, Killed, lines, message


def prepared() -> House:
    """Bookings of hers held, confirmed and cancelled, with a refused change; dead letters of hers; and somebody else's."""
    house = House()
    house.book(0, id="held")
    house.confirm(house.book(2, id="confirmed"))
    cancelled = house.confirm(house.book(4, id="cancelled"))
    for id in ("cancel", "cancel-again"):
        wish: Any = incoming(CancellationRequested(booking=cancelled.id), id=id)
        change_bookings([wish], house.desk)
    house.confirm(house.book(6, id="his", invitee=BOB))
    house.box.put("his", message(requested(invitee=BOB)))
    house.box.put("hers-1", message(requested()))
    house.box.put("hers-2", message(requested()))
    return house


def erased(house: House, *fates: Fate) -> None:
    """A request, delivered until it is answered, and rounds until all is done. Each process has the next of these fates."""
    coming = iter(fates)
    house.process(next(coming, None))
    for step in (house.ask, house.finish):
        _until_it_lives(house, step, coming)
    assert all(job.course is Course.FINISHED for job in house.jobs)


def _until_it_lives(house: House, step: Callable[[], Any], coming: Iterator[Fate]) -> None:
    try:
        step()
    except Killed:
        house.process(next(coming, None))
        _until_it_lives(house, step, coming)


def end(house: House) -> dict[str, Any]:
    """What there is when all is over; times are left out."""
    return {
        "bookings": sorted(house.world.store.kept),
        "refused changes": sorted(house.world.store.refusals),
        "keys": sorted(house.world.keys.kept),
        "letters": house.box.names,
        "cancelled": sorted(event["id"] for event in house.of("booking-cancelled")),
        "receipts": [(r["version"], r["finished"], lines(r)) for r in house.receipts],
        "jobs": len(house.jobs),
    }


def _undisturbed() -> tuple[int, dict[str, Any]]:
    house = prepared()
    fate = Fate()
    erased(house, fate)
    return fate.writes, end(house)


WRITES, WANTED = _undisturbed()


def test_there_is_something_to_disturb() -> None:
    assert WRITES > 20
    assert WANTED["letters"] == ["his"]
    assert len(WANTED["bookings"]) == len(WANTED["keys"]) == 1
    assert WANTED["refused changes"] == []
    (receipt,) = WANTED["receipts"]
    assert receipt[2]["booking-documents"] == ("done", 3)
    assert receipt[2]["dead-letters"] == ("done", 2)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, WRITES + 1))
def test_killed_at_any_write_it_ends_the_same(at: int, before: bool) -> None:
    house = prepared()
    fate = Fate(at, before=before)
    erased(house, fate)

    assert fate.writes >= at, "somebody was killed"
    assert end(house) == WANTED
    # and whatever was told twice was told alike
    bodies: dict[str | None, set[bytes]] = {}
    for sent in house.bus.sent:
        bodies.setdefault(sent.message_id, set()).add(sent.body)
    assert all(len(told) == 1 for told in bodies.values())


@pytest.mark.parametrize("second", range(1, WRITES, 2))
@pytest.mark.parametrize("first", [3, WRITES // 3, WRITES // 2, WRITES - 3])
def test_killed_twice_it_ends_the_same(first: int, second: int) -> None:
    house = prepared()
    erased(house, Fate(first), Fate(second))

    assert end(house) == WANTED

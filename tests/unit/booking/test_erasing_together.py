"""Erasures worked by several replicas, and next to one that fails: each comes to its end all the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import msgspec

from libs.contracts.events import ErasureRequested
from libs.messaging.letters import Found, Judge
from libs.testing.events import ADA, requested
from libs.testing.leaks import LogCapture, leaks
from services.booking.erasing import Standings
from services.booking.erasure import Course, Job
from services.booking.erasure_rounds import work_off
from services.booking.sifting import LEASE
from tests.unit.booking.house import BOB, House, message


@dataclass
class Slow:
    """A world in which each letter and each question takes seconds, and another replica looks for work meanwhile."""

    house: House
    taken: list[Job]

    def pass_by(self, seconds: float) -> None:
        now = self.house.clock.move(timedelta(seconds=seconds))
        self.taken += self.house.world.erasures.claim(now, now + LEASE, 20)

    def sift(self, unwanted: Judge, before: Callable[[], None]) -> int:
        def judged(found: Found, body: bytes) -> bool:
            self.pass_by(1)
            return unwanted(found, body)

        return self.house.box.sift(judged, before)

    def __call__(self, bookings: Sequence[str]) -> Standings:
        self.pass_by(4)
        return self.house.writer(bookings)


def people(count: int) -> list[Any]:
    return [msgspec.structs.replace(ADA, email=f"ada{n}@example.com") for n in range(count)]


def test_a_long_look_at_letters_is_not_taken_from_whoever_looks() -> None:
    # given more letters than a lease lasts, hers among them
    house = House()
    taken: list[Job] = []
    for n in range(40):
        house.box.put(f"his-{n}", message(requested(invitee=BOB)))
    house.box.put("hers", message(requested()))
    house.ask()
    slow = replace(house.eraser, letters=Slow(house, taken))
    # when one replica works while another looks for work
    work_off(slow)
    # then the other got nothing, and her letter is gone
    assert taken == []
    assert "hers" not in house.box.names
    assert len(house.box.names) == 40


def test_many_erasures_at_slow_providers_are_not_taken_from_whoever_works_at_them() -> None:
    house = House()
    taken: list[Job] = []
    for n, person in enumerate(people(10)):
        house.confirm(house.book(2 * n, id=f"b{n}", invitee=person))
        house.ask(ErasureRequested(email=person.email), id=f"e{n}")
    slow = replace(house.eraser, clear=Slow(house, taken))

    work_off(slow)

    # those that were not begun yet may be anybody's; what was begun is brought to the end of its round
    assert len(taken) < len(house.jobs)
    assert len([job for job in house.jobs if job.rounds or job.course is Course.FINISHED]) + len(taken) == 10


def test_a_fault_in_one_erasure_keeps_no_other_from_its_end(log: LogCapture) -> None:
    # given two people, and a fault of Valet's own at the booking of the first
    house = House()
    hers, his = house.confirm(house.book(0)), house.confirm(house.book(2, id="his", invitee=BOB))
    house.ask()
    house.clock.move(timedelta(seconds=1))
    house.ask(ErasureRequested(email=BOB.email), id="erase-bob")
    said = house.writer

    def faulty(bookings: Sequence[str]) -> Standings:
        if hers.id in bookings:
            raise KeyError(ADA.email)
        return said(bookings)

    house.eraser = replace(house.eraser, clear=faulty)
    # when the rounds go on
    for _ in range(4):
        house.round(timedelta(minutes=6))
    # then the second is erased, the first goes on, and no word of her is in the log
    assert {job.request.id: job.course for job in house.jobs} == {
        "erase-1": Course.OPEN,
        "erase-bob": Course.FINISHED,
    }
    assert his.id not in house.world.store.kept
    assert not leaks(log.text, [ADA.email])


def test_a_letter_that_trips_the_reader_does_not_keep_the_receipt_back(log: LogCapture) -> None:
    house = House()
    house.box.put("odd", message(requested()))
    house.ask()

    def tripping(found: Found, body: bytes) -> Any:
        raise KeyError(ADA.email)

    house.eraser = replace(house.eraser, reader=Tripping(tripping))  # type: ignore[arg-type]  # a reader with a fault
    for _ in range(10):
        house.round(timedelta(minutes=6))

    (receipt,) = house.receipts
    assert receipt["finished"] is False
    assert {s["what"] for s in receipt["steps"] if s["outcome"] == "to-be-retried"} == {"dead-letters"}
    assert not leaks(log.text, [ADA.email])


@dataclass
class Tripping:
    """A reader of letters that fails."""

    about: Callable[[Found, bytes], Any]

"""Requests of erased people: what was asked for before is turned away, what slips past is erased, no key is left for nothing."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from libs.contracts.reasons import Reason
from libs.crypto.vault import Vault
from libs.messaging.delivery import DONE, Refuse, Retry
from libs.testing.events import ADA, CANARIES, incoming, requested
from libs.testing.keys import keyring
from libs.testing.leaks import leaks
from services.booking.desk import change, write
from services.booking.domain import State
from services.booking.erasure import Course
from services.booking.handlers import expire_holds, hold_bookings
from services.booking.life import refuse
from tests.unit.booking.house import BOB, House, lines

SECOND = timedelta(seconds=1)
TOO_LATE = Refuse(Reason.PERSON_ERASED)


def erased() -> House:
    house = House()
    house.ask()
    house.finish()
    house.clock.move(timedelta(hours=1))
    return house


def until(house: House) -> Any:
    (mark,) = house.world.erasures.list.values()
    return mark.until


@pytest.mark.parametrize(
    ("said", "seen", "held"),
    [
        (timedelta(0), timedelta(hours=1), False),
        (-SECOND, timedelta(hours=1), False),
        (SECOND, timedelta(hours=1), True),
        (timedelta(hours=9), -SECOND, False),  # by a clock that is ahead; it was seen before
        (None, timedelta(hours=1), True),
        (None, timedelta(0), False),
    ],
)
def test_what_was_asked_for_before_the_erasure_is_turned_away(
    said: timedelta | None, seen: timedelta, held: bool
) -> None:
    house = erased()
    at = until(house)
    item = incoming(requested(), time=at + said if said is not None else None, first_seen=at + seen)

    assert house.hold(item) == [DONE if held else TOO_LATE]
    assert bool(house.key_owners()) == held


def test_who_is_turned_away_leaves_nothing_and_hears_it_again() -> None:
    house = erased()
    item = incoming(requested(), time=until(house), first_seen=house.clock())
    assert house.hold(item) == house.hold(item) == [TOO_LATE]

    (booking,) = house.world.store.kept.values()
    assert (booking.state, booking.person, booking.sealed) == (State.REJECTED, None, None)
    first, second = [sent for sent in house.bus.sent if b"booking-rejected" in sent.body]
    assert first.body == second.body
    assert not leaks(str(booking), CANARIES)
    assert house.jobs[0].refused == 1, "it is counted once"


def test_a_key_that_a_killed_process_left_behind_goes_when_its_message_comes_again() -> None:
    # given a process that read the list, made a key of before, and died
    house = erased()
    Vault(keyring(), house.world.keys).keys([house.person()])
    # when the message is delivered again
    assert house.hold(incoming(requested(), time=until(house), first_seen=house.clock())) == [TOO_LATE]
    # then the key is gone
    assert house.key_owners() == []


def test_neighbours_of_who_is_turned_away_are_unharmed() -> None:
    house = erased()
    late = incoming(requested(), time=until(house), first_seen=house.clock())
    fine = incoming(requested(invitee=BOB), time=until(house), first_seen=house.clock())

    assert house.hold(late, fine) == [TOO_LATE, DONE], "the time is his: hers was never claimed"


def test_how_many_came_too_late_stands_in_the_receipt() -> None:
    house = House()
    house.ready["booking.hold-bookings"] = 1
    house.ask()
    house.hold(incoming(requested(), time=house.clock(), first_seen=house.clock()))
    house.ready["booking.hold-bookings"] = 0
    house.finish()
    assert lines(house.receipts[0])["queued-requests"] == ("done", 1)


class SlowStore:
    """A store of bookings in which something happens while an insert is under way."""

    def __init__(self, store: Any, meanwhile: Any) -> None:
        self._store, self._meanwhile = store, meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def add(self, bookings: Sequence[Any]) -> Any:
        self._meanwhile()
        return self._store.add(bookings)


def slipping(house: House, meanwhile: Any) -> None:
    """A request that is sealed before, and stored after what happens meanwhile."""
    item: Any = incoming(requested(), time=house.clock(), first_seen=house.clock())
    desk = replace(house.desk, store=SlowStore(house.desk.store, meanwhile))
    assert hold_bookings([item], desk) == [DONE]


@pytest.mark.parametrize("finished", [False, True])
def test_what_is_stored_behind_an_erasures_back_is_erased_all_the_same(finished: bool) -> None:
    house = House()

    def meanwhile() -> None:
        house.ask()
        if finished:
            house.finish()

    slipping(house, meanwhile)
    assert house.jobs[0].course is Course.OPEN
    house.finish()

    assert (house.world.store.kept, house.key_owners()) == ({}, [])
    last = house.receipts[-1]
    assert (last["finished"], lines(last)["booking-documents"]) == (True, ("done", 1))
    assert [receipt["version"] for receipt in house.receipts] == list(range(1, len(house.receipts) + 1))


def test_a_process_killed_before_it_could_look_again_is_made_up_for_by_the_next() -> None:
    # given a request stored behind an erasure's back, by a process that died before it read the list again
    house = House()
    item: Any = incoming(requested(), time=house.clock(), first_seen=house.clock())
    hold_bookings([item], house.desk)
    (stored,) = house.world.store.kept.values()
    house.world.store.kept.clear()
    house.ask()
    house.finish()
    house.world.store.kept[stored.id] = stored
    # when its message comes again
    hold_bookings([item], house.desk)
    house.finish()
    # then it is found
    assert (house.world.store.kept, house.key_owners()) == ({}, [])


def test_an_erasure_that_finds_nothing_new_is_not_told_again() -> None:
    house = House()
    house.book(0)
    house.ask()
    house.finish()
    house.desk.erasures.touch([house.person()], house.clock())
    house.finish()
    assert len(house.receipts) == 1


def test_the_list_is_read_twice_for_a_batch_and_not_at_all_for_nobody() -> None:
    house = House()
    house.hold(*[requested(invitee=who) for who in (ADA, BOB, ADA)])
    assert house.world.erasures.reads == 2
    house.hold(requested(minutes=7))
    assert house.world.erasures.reads == 2


def test_while_the_list_cannot_be_read_nothing_is_let_in() -> None:
    house = House()
    house.world.erasures.away = True
    assert house.hold(requested()) == [Retry(Reason.STORE_UNAVAILABLE)]
    assert house.world.store.kept == {}


class TestKeys:
    """A key stays only where something is under it: what may be needed no more is retired, and destroyed later by a sweep."""

    def test_one_that_is_held_keeps_its_key(self) -> None:
        house = House()
        house.book(0)
        assert (house.key_owners(), list(house.world.keys.retired)) == ([house.person()], [])

    def test_rejected_before_the_insert_there_never_is_one(self) -> None:
        house = House()
        house.hold(requested(minutes=7))
        assert house.key_owners() == []

    def test_rejected_by_the_insert_it_is_retired(self) -> None:
        house = House()
        house.book(0, invitee=BOB)
        house.book(0, id="too-late")
        assert list(house.world.keys.retired) == [house.person()]

    def test_rejected_while_another_is_held_it_is_needed(self) -> None:
        house = House()
        house.hold(requested(), requested())
        assert list(house.world.keys.retired) == []

    def test_rejected_later_or_expired_it_is_retired(self) -> None:
        house = House()
        booking = house.book(0)
        refused = refuse(booking, booking.version, Reason.HOST_BUSY, house.clock())
        assert refused is not None
        write([change(booking, refused)], house.desk)
        assert list(house.world.keys.retired) == [house.person()]

        house.book(1, invitee=BOB)
        house.clock.move(timedelta(minutes=5))
        assert expire_holds(house.desk) == 1
        assert house.person(BOB.email) in house.world.keys.retired


def test_the_same_person_whatever_the_case_of_the_address() -> None:
    house = House()
    emails = ("ADA@Example.COM", "ada@example.com")
    house.hold(*(requested(invitee=msgspec.structs.replace(ADA, email=email)) for email in emails))
    assert house.key_owners() == [house.person()]

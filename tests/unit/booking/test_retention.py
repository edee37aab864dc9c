"""Retention: what is over for longer than was asked for is forgotten; keys without a use go, and none that is in use."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from libs.crypto.vault import CACHE_SECONDS, Place, Vault, seal, unseal
from libs.testing.clock import Clock
from libs.testing.keys import MemoryKeys, keyring
from libs.testing.leaks import LogCapture
from services.booking import retention
from services.booking.domain import Booking
from services.booking.outgoing import events_of
from services.booking.retention import EVERY, REST, Sweeper
from tests.contract.stores.test_retained import confirmed
from tests.unit.booking.doubles import MemoryBookings
from tests.unit.booking.memory_retained import EVER, MemoryRetained

DAYS = 30
TURN = timedelta(seconds=EVERY)
PLACE = Place("bookings", "bk_one", "personal")


@dataclass
class House:
    """A sweeper over doubles. Keys are marked by the real clock, so the sweeper's starts there."""

    days: int | None = DAYS
    bookings: MemoryBookings = field(default_factory=MemoryBookings)
    keys: MemoryKeys = field(default_factory=MemoryKeys)
    clock: Clock = field(default_factory=lambda: Clock(datetime.now(UTC)))

    def __post_init__(self) -> None:
        self.store = MemoryRetained(self.bookings, self.keys)
        self.sweeper = Sweeper(self.store, self.keys.retire, self.clock, self.days)
        self.vault = Vault(keyring(), self.keys)

    def book(self, name: str, person: str, ended: timedelta) -> Booking:
        """A booking that ended so long ago, made long before, its events told."""
        start = self.clock() - ended - timedelta(minutes=30)
        booking = replace(confirmed(name, start, person), received=start - timedelta(days=1))
        self.vault.keys([person])
        self.keys.created[person] = start - timedelta(days=1)
        self.bookings.add([(booking, events_of(booking))])
        self.bookings.outbox.clear(self.bookings.outbox.waiting(EVER, timedelta(0), 100))
        return booking

    def sweep(self, *, after: timedelta = TURN) -> None:
        self.clock.move(after)
        retention.sweep(self.sweeper)


def overdue() -> tuple[float | None, float | None]:
    names = ("valet_retention_overdue_bookings", "valet_retention_overdue_seconds")
    return REGISTRY.get_sample_value(names[0]), REGISTRY.get_sample_value(names[1])


def test_off_by_default_nothing_is_ever_forgotten() -> None:
    house = House(days=None)
    house.book("one", "ada", timedelta(days=5000))

    house.sweep()
    house.sweep(after=REST + TURN)

    assert len(house.bookings.kept) == 1
    assert list(house.keys.kept) == ["ada"]


def test_what_is_over_for_so_long_is_forgotten_and_then_its_key_destroyed() -> None:
    # given a person whose bookings are over for long, and one of whom a booking is not
    house = House()
    house.book("one", "ada", timedelta(days=DAYS, hours=1))
    house.book("two", "bob", timedelta(days=DAYS, hours=2))
    recent = house.book("three", "bob", timedelta(days=DAYS - 1))
    # when the first sweep came, then the bookings are gone, and the key rests
    house.sweep()
    assert list(house.bookings.kept) == [recent.id]
    assert sorted(house.keys.kept) == ["ada", "bob"]
    # when it rested, then it is gone too
    house.sweep(after=REST + TURN)
    assert list(house.keys.kept) == ["bob"]


def test_a_key_that_a_replica_still_has_at_hand_outlives_its_new_booking() -> None:
    # given a replica that read a person's key just before it was marked as retired
    house = House()
    house.book("one", "ada", timedelta(days=DAYS, hours=1))
    replica = Vault(keyring(), house.keys)
    key = replica.keys(["ada"])["ada"]
    house.sweep()
    assert "ada" in house.keys.retired
    # when it seals a new booking with it as late as it may
    assert timedelta(seconds=CACHE_SECONDS) < REST / 2
    sealed = seal(key, PLACE, b"answer")
    house.book("two", "ada", -timedelta(days=1))
    house.keys.retire(["ada"])  # as though that replica had asked nobody
    house.sweep(after=REST + TURN)
    # then the key stays, and another replica reads what was sealed
    assert unseal(Vault(keyring(), house.keys).key("ada"), PLACE, sealed) == b"answer"
    assert "ada" not in house.keys.retired


def test_a_key_that_is_read_again_is_not_destroyed() -> None:
    house = House()
    house.book("one", "ada", timedelta(days=DAYS, hours=1))
    house.sweep()

    Vault(keyring(), house.keys).keys(["ada"])
    house.sweep(after=REST + TURN)  # marked anew, and rests anew
    assert list(house.keys.kept) == ["ada"]


def test_without_days_keys_that_lost_their_use_still_go() -> None:
    house = House(days=None)
    house.vault.keys(["ada"])
    house.keys.retire(["ada"])

    house.sweep()
    assert list(house.keys.kept) == ["ada"]
    house.sweep(after=REST + TURN)
    assert list(house.keys.kept) == []


def test_all_keys_are_looked_at_over_several_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "KEYS", 2)
    house = House()
    for number in range(5):
        house.book(f"b{number}", f"p{number}", timedelta(days=DAYS, hours=number + 1))

    for _ in range(3):
        house.sweep()
    assert len(house.keys.retired) == 5
    for _ in range(3):
        house.sweep(after=REST + TURN)
    assert house.keys.kept == {}


def test_only_one_of_two_replicas_sweeps_but_both_measure() -> None:
    house = House()
    house.sweep()
    house.book("one", "ada", timedelta(days=DAYS, hours=1))

    retention.sweep(house.sweeper)  # at the same time as the sweep before

    assert len(house.bookings.kept) == 1
    count, seconds = overdue()
    assert count == 1
    assert seconds == pytest.approx(3600, abs=5)
    house.sweep()
    assert overdue() == (0, 0)


def test_a_store_that_is_away_is_said_and_no_more(log: LogCapture) -> None:
    house = House()
    house.store.away = True

    house.sweep()
    assert "retention not swept" in log.text

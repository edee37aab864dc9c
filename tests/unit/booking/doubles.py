"""The booking service's store in memory, and a desk made of doubles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from libs.crypto.digests import Digests
from libs.crypto.envelopes import Envelopes
from libs.crypto.vault import Vault
from libs.mongo.outbox import Pending
from libs.testing.clock import Clock
from libs.testing.keys import MemoryKeys, keyring
from libs.testing.outage import Outage, as_kept
from libs.testing.outbox import MemoryOutbox, Told
from services.booking.domain import Booking, CalendarState, Rules, Span
from services.booking.handlers import Desk
from services.booking.invitees import Entrance, Safe
from services.booking.store import Added, Change

RULES = Rules(
    grid=timedelta(minutes=5),
    longest=timedelta(hours=8),
    horizon=timedelta(days=365),
    hold=timedelta(minutes=2),
)


class MemoryBookings(Outage):
    """The port BookingStore: unique ids, unique claims, a version guard, and the event kept with the write."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, Booking] = {}
        self.outbox = MemoryOutbox("bookings")

    def add(self, bookings: Sequence[tuple[Booking, Pending]]) -> Sequence[Added | Booking]:
        with self.reached():
            return [self._add(booking, event) for booking, event in bookings]

    def get(self, ids: Sequence[str]) -> Mapping[str, Booking]:
        with self.reached():
            return {id: self.kept[id] for id in ids if id in self.kept}

    def change(self, changes: Sequence[Change]) -> set[str]:
        with self.reached():
            return {change.booking.id for change in changes if not self._change(change)}

    def note_calendar(self, notes: Mapping[str, CalendarState]) -> None:
        with self.reached():
            for id, note in notes.items():
                booking = self.kept.get(id)
                if booking and (booking.calendar is None or _order(booking.calendar) <= _order(note)):
                    self.kept[id] = replace(booking, calendar=as_kept(note))

    def held_until(self, now: datetime, most: int) -> Sequence[Booking]:
        with self.reached():
            return [b for b in self.kept.values() if b.hold_until is not None and b.hold_until < now][:most]

    def _add(self, booking: Booking, event: Pending) -> Added | Booking:
        if booking.id in self.kept:
            return self.kept[booking.id]
        taken = {claim for other in self.kept.values() for claim in other.claims}
        if taken.intersection(booking.claims):
            return Added.TIME_TAKEN
        self._write(booking, event)
        return Added.ADDED

    def _change(self, change: Change) -> bool:
        stands = self.kept.get(change.booking.id)
        if stands is None or stands.version != change.was:
            return stands is not None and stands.history == as_kept(change.booking.history)
        self._write(replace(change.booking, calendar=stands.calendar), change.event)
        return True

    def _write(self, booking: Booking, event: Pending) -> None:
        self.kept[booking.id] = as_kept(booking)
        self.outbox.put(booking.id, as_kept(event))


def _order(note: CalendarState) -> tuple[int, int]:
    return note.version, note.attempt


@dataclass(frozen=True)
class World:
    """A desk and what it is made of."""

    store: MemoryBookings
    told: Told
    keys: MemoryKeys
    clock: Clock
    envelopes: Envelopes
    desk: Desk

    def booking(self, id: str) -> Booking:
        return self.store.kept[id]


def another_replica(made: World) -> Desk:
    """A second process on the same store, which has no keys in memory yet."""
    return replace(made.desk, safe=Safe(Vault(keyring(), made.keys), made.desk.digests))


def world(*, require_sealed: bool = False) -> World:
    """The booking service before the first request."""
    masters, store, told, keys, clock = keyring(), MemoryBookings(), Told(), MemoryKeys(), Clock()
    envelopes, digests = Envelopes(masters), Digests(masters)
    safe = Safe(Vault(masters, keys), digests)
    desk = Desk(store, told, Entrance(envelopes, require_sealed), safe, digests, RULES, clock)
    return World(store, told, keys, clock, envelopes, desk)


def overlapping(spans: Sequence[Span]) -> bool:
    """Whether any two of the same host overlap. Slow and obvious: for checks, not for deciding."""
    return any(
        a.host == b.host and a.start < b.end and b.start < a.end for i, a in enumerate(spans) for b in spans[i + 1 :]
    )

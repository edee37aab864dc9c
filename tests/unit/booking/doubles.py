"""The booking service's store in memory, and a desk made of doubles."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from services.booking.claims import Claimant, Span, Terms, cells, is_day
from services.booking.desk import Desk
from services.booking.domain import Booking, CalendarState, Conflict, Rules
from services.booking.invitees import Entrance, Safe
from services.booking.moves import Refusal
from services.booking.outgoing import events_of
from services.booking.store import Change, Found, Write

RULES = Rules(
    grid=timedelta(minutes=5),
    longest=timedelta(hours=8),
    horizon=timedelta(days=365),
    hold=timedelta(minutes=2),
)


class MemoryBookings(Outage):
    """The port BookingStore: unique ids, claims and identities, a version guard, and the events kept with the write."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, Booking] = {}
        self.refusals: dict[str, Refusal] = {}
        self.outbox = MemoryOutbox("bookings")

    def add(self, bookings: Sequence[tuple[Booking, Sequence[Pending]]]) -> Sequence[Write | Booking]:
        with self.reached():
            return [self._add(booking, events) for booking, events in bookings]

    def get(self, ids: Sequence[str]) -> Mapping[str, Booking]:
        with self.reached():
            return {id: self.kept[id] for id in ids if id in self.kept}

    def find(self, ids: Sequence[str], keys: Sequence[str]) -> Found:
        with self.reached():
            answers = {key: there for there in self._all() for key in _identities(there) if key in keys}
            return Found({id: self.kept[id] for id in {*ids, *keys} if id in self.kept}, answers)

    def change(self, changes: Sequence[Change]) -> Mapping[str, Write]:
        with self.reached():
            tried = {change.booking.id: self._change(change) for change in changes}
            return {id: why for id, why in tried.items() if why is not Write.DONE}

    def refuse(self, refusals: Sequence[tuple[Refusal, Pending]]) -> Sequence[Write | Refusal]:
        with self.reached():
            return [self._refuse(refusal, event) for refusal, event in refusals]

    def standing(self, spans: Sequence[Span], grid: timedelta) -> Sequence[Claimant]:
        wanted = {cell for span in spans for cell in cells(span, grid)}
        with self.reached():
            return [_claimant(booking) for booking in self.kept.values() if wanted.intersection(booking.claims)]

    def note_calendar(self, notes: Mapping[str, CalendarState]) -> None:
        with self.reached():
            for id, note in notes.items():
                booking = self.kept.get(id)
                if booking and (booking.calendar is None or _order(booking.calendar) <= _order(note)):
                    self.kept[id] = replace(booking, calendar=as_kept(note))

    def note_conflicts(self, conflicts: Mapping[str, Conflict]) -> None:
        with self.reached():
            for id, found in conflicts.items():
                booking = self.kept.get(id)
                if booking and (booking.conflict is None or _when(booking.conflict) <= _when(found)):
                    self.kept[id] = replace(booking, conflict=as_kept(found))

    def held_until(self, now: datetime, most: int) -> Sequence[Booking]:
        with self.reached():
            return [b for b in self.kept.values() if b.hold_until is not None and b.hold_until < now][:most]

    def _all(self) -> Iterator[Booking | Refusal]:
        yield from self.kept.values()
        yield from self.refusals.values()

    def _add(self, booking: Booking, events: Sequence[Pending]) -> Write | Booking:
        if booking.id in self.kept:
            return self.kept[booking.id]
        if (clash := self._clash(booking)) is not Write.DONE:
            return clash
        self._write(booking, events)
        return Write.DONE

    def _change(self, change: Change) -> Write:
        stands = self.kept.get(change.booking.id)
        if stands is None or stands.version != change.was:
            ours = stands is not None and stands.history == as_kept(change.booking.history)
            return Write.DONE if ours else Write.LOST_RACE
        if (clash := self._clash(change.booking)) is not Write.DONE:
            return clash
        self._write(replace(change.booking, calendar=stands.calendar, conflict=stands.conflict), change.events)
        return Write.DONE

    def _refuse(self, refusal: Refusal, event: Pending) -> Write | Refusal:
        if refusal.id in self.refusals:
            return self.refusals[refusal.id]
        if {key for there in self._all() for key in _identities(there)}.intersection(_identities(refusal)):
            return Write.IDENTITY_TAKEN
        self.refusals[refusal.id] = as_kept(refusal)
        self.outbox.put(refusal.id, as_kept(event))
        return Write.DONE

    def _clash(self, booking: Booking) -> Write:
        others = [there for there in self._all() if there.id != booking.id]
        if {key for there in others for key in _identities(there)}.intersection(booking.identities):
            return Write.IDENTITY_TAKEN
        claims = {claim for there in others if isinstance(there, Booking) for claim in there.claims}
        if not (both := claims.intersection(booking.claims)):
            return Write.DONE
        return Write.PLACE_TAKEN if all(is_day(claim) for claim in both) else Write.TIME_TAKEN

    def _write(self, booking: Booking, events: Sequence[Pending]) -> None:
        self.kept[booking.id] = as_kept(booking)
        for event in events:
            self.outbox.put(booking.id, as_kept(event))


class MemoryHosts(Outage):
    """The port HostBook."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, Terms] = {}
        self.reads = 0

    def of(self, hosts: Iterable[str]) -> Mapping[str, Terms]:
        self.reads += 1
        with self.reached():
            return {host: self.kept[host] for host in hosts if host in self.kept}

    def keep(self, terms: Sequence[Terms]) -> None:
        with self.reached():
            for each in terms:
                if each.host not in self.kept or self.kept[each.host].version < each.version:
                    self.kept[each.host] = each


def _identities(there: Booking | Refusal) -> tuple[str, ...]:
    return there.identities if isinstance(there, Booking) else tuple(key for key in [there.key] if key)


def _claimant(booking: Booking) -> Claimant:
    spans = [each for each in (booking.span, booking.move) if each]
    return Claimant(booking.id, tuple(each.start for each in spans), booking.claims)


def _when(found: Conflict) -> tuple[int, datetime]:
    return found.version, found.at


def _order(note: CalendarState) -> tuple[int, int]:
    return note.version, note.attempt


@dataclass(frozen=True)
class World:
    """A desk and what it is made of."""

    store: MemoryBookings
    hosts: MemoryHosts
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
    masters, told, keys, clock = keyring(), Told(), MemoryKeys(), Clock()
    store, hosts = MemoryBookings(), MemoryHosts()
    envelopes, digests = Envelopes(masters), Digests(masters)
    safe = Safe(Vault(masters, keys), digests)
    desk = Desk(store, hosts, told, Entrance(envelopes, require_sealed), safe, digests, RULES, clock)
    return World(store, hosts, told, keys, clock, envelopes, desk)


def event_of(booking: Booking) -> Pending:
    """The event of a version that has only one."""
    (event,) = events_of(booking)
    return event


def overlapping(spans: Sequence[Span]) -> bool:
    """Whether any two of the same host overlap. Slow and obvious: for checks, not for deciding."""
    return any(
        a.host == b.host and a.start < b.end and b.start < a.end for i, a in enumerate(spans) for b in spans[i + 1 :]
    )

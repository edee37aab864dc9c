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
from services.booking.erasure import Course, Job, Left, Mark, Refused, was_cancelled
from services.booking.erasures import Figures, Part
from services.booking.invitees import Entrance, Safe
from services.booking.moves import Refusal
from services.booking.outgoing import events_of
from services.booking.recent import Recent
from services.booking.store import Change, Found, Holds, Write

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

    def holds(self) -> Holds:
        with self.reached():
            held = [b for b in self.kept.values() if b.hold_until is not None]
            first = min(held, key=lambda b: b.hold_until or b.received, default=None)
            return Holds(len(held), first.history[-1].at if first else None)

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


class MemoryErasures(Outage):
    """The port ErasureStore, on the bookings of a MemoryBookings."""

    def __init__(self, bookings: MemoryBookings) -> None:
        super().__init__()
        self.bookings = bookings
        self.list: dict[str, Mark] = {}
        self.kept: dict[str, Job | Refused] = {}
        self.outbox = MemoryOutbox("erasures")
        self.reads = 0

    def marks(self, persons: Iterable[str]) -> Mapping[str, Mark]:
        with self.reached():
            self.reads += 1
            return {person: self.list[person] for person in persons if person in self.list}

    def begin(self, person: str, now: datetime) -> Mark:
        with self.reached():
            last = self.list.get(person, Mark(0, as_kept(now)))
            self.list[person] = Mark(last.epoch + 1, max(last.until, as_kept(now)))
            return self.list[person]

    def find(self, ids: Sequence[str]) -> Mapping[str, Job | Refused]:
        with self.reached():
            return {id: self.kept[id] for id in ids if id in self.kept}

    def add(self, job: Job) -> bool:
        with self.reached():
            return self._insert(job)

    def refuse(self, refused: Refused, event: Pending) -> bool:
        with self.reached():
            if inserted := self._insert(refused):
                self.outbox.put(refused.id, as_kept(event))
            return inserted

    def claim(self, now: datetime, until: datetime, most: int) -> Sequence[Job]:
        with self.reached():
            due = sorted((job for job in self._open() if job.due <= now), key=lambda job: job.due)[:most]
            taken = [replace(job, due=until, revision=job.revision + 1) for job in due]
            self.kept.update({job.id: job for job in taken})
            return taken

    def save(self, job: Job, events: Sequence[Pending] = ()) -> Job | None:
        with self.reached():
            stands = self.kept.get(job.id)
            if not isinstance(stands, Job) or stands.revision != job.revision:
                return None
            saved = as_kept(replace(job, revision=job.revision + 1, refused=stands.refused))
            self.kept[job.id] = saved
            for event in events:
                self.outbox.put(job.id, as_kept(event))
            return saved

    def touch(self, persons: Iterable[str], now: datetime) -> None:
        with self.reached():
            for job in filter(None, map(self._last, persons)):
                again = replace(job, course=Course.OPEN, due=now, rounds=0, after="", revision=job.revision + 1)
                self.kept[job.id] = again

    def note_refused(self, persons: Mapping[str, int]) -> None:
        with self.reached():
            for person, count in persons.items():
                if job := self._last(person):
                    self.kept[job.id] = replace(job, refused=job.refused + count)

    def of_owners(self, owners: Sequence[str], most: int) -> Sequence[Booking]:
        with self.bookings.reached():
            return [booking for booking in self.bookings.kept.values() if booking.person in owners][:most]

    def parts(self, erasure: str, after: str, most: int) -> Sequence[Part]:
        with self.bookings.reached():
            found = sorted(id for id, b in self.bookings.kept.items() if b.erasure == erasure and id > after)[:most]
            return [Part(self.bookings.kept[id], not self._waiting(id)) for id in found]

    def left(self, erasure: str) -> Left:
        with self.bookings.reached():
            found = [booking for booking in self.bookings.kept.values() if booking.erasure == erasure]
            return Left(len(found), len([booking for booking in found if was_cancelled(booking)]))

    def delete(self, erasure: str, bookings: Sequence[str]) -> None:
        with self.bookings.reached():
            for refusal in self._refusals(bookings):
                if not self.bookings.outbox.of(refusal.id):
                    del self.bookings.refusals[refusal.id]
            for id in bookings:
                stands = self.bookings.kept.get(id)
                if stands and stands.erasure == erasure and not self.bookings.outbox.of(id):
                    del self.bookings.kept[id]

    def recent(self, most: int) -> Sequence[Job]:
        with self.reached():
            jobs = [job for job in self.kept.values() if isinstance(job, Job)]
            return sorted(jobs, key=lambda job: job.asked_at, reverse=True)[:most]

    def figures(self) -> Figures:
        with self.reached():
            return Figures(len(self._open()), min((job.asked_at for job in self._open()), default=None))

    def _insert(self, either: Job | Refused) -> bool:
        if either.id in self.kept:
            return False
        self.kept[either.id] = as_kept(either)
        return True

    def _open(self) -> list[Job]:
        return [job for job in self.kept.values() if isinstance(job, Job) and job.course is Course.OPEN]

    def _last(self, person: str) -> Job | None:
        jobs = [job for job in self.kept.values() if isinstance(job, Job) and job.person == person]
        return max(jobs, key=lambda job: job.mark.epoch if job.mark else 0, default=None)

    def _refusals(self, bookings: Sequence[str]) -> list[Refusal]:
        return [refusal for refusal in self.bookings.refusals.values() if refusal.booking in bookings]

    def _waiting(self, booking: str) -> bool:
        ids = [booking, *(refusal.id for refusal in self._refusals([booking]))]
        return any(self.bookings.outbox.of(id) for id in ids)


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
    erasures: MemoryErasures
    desk: Desk

    def booking(self, id: str) -> Booking:
        return self.store.kept[id]


def another_replica(made: World) -> Desk:
    """A second process on the same store, which has neither keys nor bookings in memory yet."""
    return replace(made.desk, safe=Safe(Vault(keyring(), made.keys)), recent=Recent())


def world(*, require_sealed: bool = False) -> World:
    """The booking service before the first request."""
    masters, told, keys, clock = keyring(), Told(), MemoryKeys(), Clock()
    store, hosts = MemoryBookings(), MemoryHosts()
    envelopes, digests = Envelopes(masters), Digests(masters)
    safe, erasures = Safe(Vault(masters, keys)), MemoryErasures(store)
    desk = Desk(store, hosts, told, Entrance(envelopes, require_sealed), safe, digests, RULES, clock, erasures)
    return World(store, hosts, told, keys, clock, envelopes, erasures, desk)


def event_of(booking: Booking) -> Pending:
    """The event of a version that has only one."""
    (event,) = events_of(booking)
    return event


def overlapping(spans: Sequence[Span]) -> bool:
    """Whether any two of the same host overlap. Slow and obvious: for checks, not for deciding."""
    return any(
        a.host == b.host and a.start < b.end and b.start < a.end for i, a in enumerate(spans) for b in spans[i + 1 :]
    )

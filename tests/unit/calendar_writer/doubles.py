"""The calendar-writer's ledger in memory, and a desk made of doubles."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from libs.contracts.events import Provider
from libs.contracts.questions import CalendarAccess, Detail, EntryTexts
from libs.mongo.outbox import Pending
from libs.providers.breaker import FAILURES, Circuit, Outages
from libs.providers.port import Calendar, Entry
from libs.testing.calendars import CalendarDouble, Standing
from libs.testing.clock import Clock
from libs.testing.events import ADA, HOST, HOUR, SOON, TITLE, booking_id
from libs.testing.grants import MemoryGrants, calendar_of
from libs.testing.outage import Outage, as_kept
from libs.testing.outbox import MemoryOutbox, Told
from libs.testing.switches import MemorySwitches
from services.calendar_writer.desk import Desk, DetailsUnavailable
from services.calendar_writer.domain import OPEN, Effect, Rhythm
from services.calendar_writer.domain import Standing as Stands
from services.calendar_writer.placing import Placing, entry_of
from services.calendar_writer.store import Change, Claim, Count, Waits
from services.calendar_writer.wiring import EffectMaker

SECRET = b"made-up secret of the entries"


class MemoryLedger(Outage):
    """The port Ledger: one effect per booking, held by one worker at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, Effect] = {}
        self.outbox = MemoryOutbox("effects")

    def get(self, bookings: Sequence[str]) -> Mapping[str, Effect]:
        with self.reached():
            return {id: self.kept[id] for id in bookings if id in self.kept}

    def begin(self, changes: Sequence[Change], now: datetime) -> set[str]:
        with self.reached():
            return {effect.booking for effect, events in changes if not self._begin(effect, events, now)}

    def end(self, changes: Sequence[Change]) -> None:
        with self.reached():
            for effect, events in changes:
                stands = self.kept.get(effect.booking)
                if stands is not None and stands.revision == effect.revision:
                    self._keep(replace(effect, revision=effect.revision + 1), events)

    def parked(self, host: str) -> Sequence[str]:
        with self.reached():
            return [e.booking for e in self.kept.values() if e.host == host and e.standing is Stands.PARKED]

    def left_behind(self, claim: Claim) -> Sequence[Effect]:
        with self.reached():
            return self._claimed([e for e in self.kept.values() if e.standing in OPEN], "due", claim)

    def to_look_at(self, claim: Claim, now: datetime) -> Sequence[Effect]:
        with self.reached():
            for effect in list(self.kept.values()):
                if (
                    effect.look_at is not None
                    and effect.look_at <= now
                    and effect.end is not None
                    and effect.end <= now
                ):
                    self.kept[effect.booking] = replace(effect, look_at=None)
            coming = [e for e in self.kept.values() if e.standing is Stands.WRITTEN and e.end and e.end > now]
            return self._claimed(coming, "look_at", claim)

    def coming(self, hosts: Sequence[str], after: datetime, removed: datetime, most: int) -> Sequence[Effect]:
        with self.reached():
            mine = [e for e in self.kept.values() if e.host in hosts]
            there = [e for e in mine if e.standing is not Stands.REMOVED or e.since > removed]
            return sorted((e for e in there if e.end and e.end > after), key=lambda e: e.end or after)[:most]

    def counts(self, standings: Sequence[Stands]) -> Mapping[Stands, Count]:
        with self.reached():
            sinces = {s: [e.since for e in self.kept.values() if e.standing is s] for s in standings}
            return {standing: Count(len(some), min(some, default=None)) for standing, some in sinces.items()}

    def _begin(self, effect: Effect, events: Sequence[Pending], now: datetime) -> bool:
        stands = self.kept.get(effect.booking)
        if stands is not None and stands.busy_until is not None and stands.busy_until >= now:
            return False
        if (stands.revision if stands else 0) != effect.revision - 1:
            return False
        self._keep(effect, events)
        return True

    def _keep(self, effect: Effect, events: Sequence[Pending]) -> None:
        self.kept[effect.booking] = as_kept(effect)
        for event in events:
            self.outbox.put(effect.booking, as_kept(event))

    def _claimed(self, effects: Sequence[Effect], when: Literal["due", "look_at"], claim: Claim) -> Sequence[Effect]:
        mine = [e for e in effects if claim.host in (None, e.host) and _waits_for(e, claim.waits)]
        due = {e.booking: at for e in mine if (at := getattr(e, when))}
        chosen = sorted((id for id, at in due.items() if at <= claim.by), key=due.__getitem__)[: claim.most]
        for id in chosen:
            start = self.kept[id].start
            far = start - claim.ahead if start and claim.ahead else claim.until
            until = {when: as_kept(max(claim.until, far))}
            self.kept[id] = replace(self.kept[id], **until)  # type: ignore[arg-type]  # one of two fields of one type
        return [self.kept[id] for id in chosen]


def _waits_for(effect: Effect, waits: Waits | None) -> bool:
    if waits is None:
        return True
    later = effect.due is not None and effect.due > waits.beyond
    return later and effect.provider == waits.provider and effect.reason in waits.reasons


@dataclass
class BookingDetails:
    """What the booking service says; with `away` set it does not answer."""

    said: dict[str, Detail] = field(default_factory=dict)
    away: bool = False
    asked: int = 0

    def __call__(self, bookings: Sequence[str]) -> Mapping[str, Detail | None]:
        if self.away:
            raise DetailsUnavailable
        self.asked += 1
        return {id: self.said.get(id) for id in bookings}


def stands(version: int = 2, *, host: str = HOST, start: datetime = SOON) -> Detail:
    """A confirmed booking of ADA's, one hour long."""
    texts = EntryTexts(name=ADA.name, email=ADA.email, time_zone=ADA.time_zone, fields=ADA.fields, title=TITLE)
    return Detail(
        version=version,
        stands=True,
        pending=False,
        host=host,
        start=start,
        end=start + HOUR,
        entry=texts,
    )


def over(version: int = 3, *, host: str = HOST, start: datetime = SOON, erased: bool = False) -> Detail:
    """The same booking, cancelled; with `erased` because its person is."""
    end = start + HOUR
    return Detail(version=version, stands=False, pending=False, erased=erased, host=host, start=start, end=end)


def at_once(work: Callable[[], object], seconds: float) -> bool:
    """The port Aside, for work that is done in no time."""
    work()
    return True


@dataclass
class Reminded:
    """The port Reminds: keeps the reminders; with `fails` the bus takes none."""

    pendings: list[Pending] = field(default_factory=list)
    fails: bool = False

    def __call__(self, reminders: Sequence[Pending]) -> bool:
        if not self.fails:
            self.pendings += reminders
        return not self.fails

    def taken(self) -> list[dict[str, Any]]:
        """The events waiting in the service's own queue; they are gone from it then."""
        events = [msgspec.json.decode(pending.body) for pending in self.pendings]
        self.pendings.clear()
        return events


@dataclass(frozen=True)
class World:
    """A desk and what it is made of."""

    details: BookingDetails
    grants: MemoryGrants
    google: CalendarDouble
    microsoft: CalendarDouble
    ledger: MemoryLedger
    told: Told
    reminded: Reminded
    clock: Clock
    circuits: Mapping[Provider, Circuit]
    switches: MemorySwitches
    desk: Desk

    def connect(self, host: str = HOST, provider: Provider = "google", name: str = "") -> CalendarAccess:
        """Connect a host to one calendar, and to no other."""
        calendar = self.add_calendar(host, provider, name)
        self.grants.connect(host, calendar)
        return calendar

    def add_calendar(self, host: str = HOST, provider: Provider = "google", name: str = "") -> CalendarAccess:
        """A calendar at the provider, and the access to it."""
        calendar = calendar_of(host, provider, name=name)
        double = self.google if provider == "google" else self.microsoft
        double.add_calendar(calendar.calendar, calendar.token or "")
        return calendar

    def say(self, name: str, detail: Detail) -> None:
        """Let the booking service say this of the booking."""
        self.details.said[booking_id(name)] = detail

    def effect(self, name: str) -> Effect:
        return self.ledger.kept[booking_id(name)]

    def entries(self, host: str = HOST) -> list[Standing]:
        """What of ours stands in the host's calendar."""
        return self.google.entries(calendar_of(host).calendar)

    def entry(self, name: str) -> Entry:
        """The entry of a booking as the provider's adapter takes it."""
        return entry_of(self.effect(name))

    def go_down(self, provider: Provider = "google") -> None:
        """The provider leaves as many calls unanswered as open its circuit."""
        for _ in range(FAILURES):
            self.circuits[provider].leave(self.circuits[provider].enter(), answered=False)

    def come_back(self, provider: Provider = "google") -> None:
        """The provider answers a probe. Its pause must be over."""
        self.circuits[provider].leave(self.circuits[provider].enter(), answered=True)

    def pass_time(self, seconds: float) -> None:
        self.clock.move(timedelta(seconds=seconds))


def world() -> World:
    """The calendar-writer before the first event; HOST is connected."""
    details, grants, ledger, told, clock = BookingDetails(), MemoryGrants(), MemoryLedger(), Told(), Clock()
    google, microsoft, reminded = CalendarDouble("google"), CalendarDouble("microsoft"), Reminded()
    calendars: dict[Provider, Calendar] = {"google": google, "microsoft": microsoft}
    placing = Placing(calendars, grants, map)
    make = EffectMaker(SECRET)
    circuits: dict[Provider, Circuit] = {name: Circuit(clock.seconds) for name in calendars}
    outages, rhythm = Outages(circuits), Rhythm()
    switches = MemorySwitches()
    desk = Desk(
        details,
        grants,
        ledger,
        placing,
        calendars,
        told,
        reminded,
        make,
        clock,
        map,
        at_once,
        outages,
        switches,
        rhythm,
    )
    made = World(details, grants, google, microsoft, ledger, told, reminded, clock, circuits, switches, desk)
    made.connect()
    return made

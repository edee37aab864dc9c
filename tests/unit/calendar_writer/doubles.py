"""The calendar-writer's ledger in memory, and a desk made of doubles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from libs.contracts.events import Provider
from libs.contracts.questions import Detail, EntryTexts
from libs.mongo.outbox import Pending
from libs.providers.port import Calendar
from libs.testing.calendars import CalendarDouble, Standing
from libs.testing.clock import START, Clock
from libs.testing.events import ADA, HOST, HOUR, SOON, TITLE, booking_id
from libs.testing.grants import MemoryGrants, calendar_of
from libs.testing.outage import Outage, as_kept
from libs.testing.outbox import MemoryOutbox, Told
from services.calendar_writer.domain import Effect
from services.calendar_writer.domain import Standing as Stands
from services.calendar_writer.handlers import Desk, DetailsUnavailable
from services.calendar_writer.placing import Placing
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

    def begin(self, effects: Sequence[Effect], now: datetime) -> set[str]:
        with self.reached():
            return {effect.booking for effect in effects if not self._begin(effect, now)}

    def end(self, effects: Sequence[tuple[Effect, Pending | None]]) -> None:
        with self.reached():
            for effect, event in effects:
                if (stands := self.kept.get(effect.booking)) is None or stands.version > effect.version:
                    continue
                self.kept[effect.booking] = as_kept(effect)
                if event is not None:
                    self.outbox.put(effect.booking, as_kept(event))

    def oldest_open(self) -> datetime | None:
        with self.reached():
            return min((e.since for e in self.kept.values() if e.standing is Stands.INTENDED), default=None)

    def _begin(self, effect: Effect, now: datetime) -> bool:
        stands = self.kept.get(effect.booking)
        if stands is not None and stands.busy_until is not None and stands.busy_until >= now:
            return False
        self.kept[effect.booking] = as_kept(effect)
        return True


@dataclass
class BookingDetails:
    """What the booking service says; with `away` set it does not answer."""

    said: dict[str, Detail] = field(default_factory=dict)
    away: bool = False

    def __call__(self, bookings: Sequence[str]) -> Mapping[str, Detail | None]:
        if self.away:
            raise DetailsUnavailable
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
        confirmed_at=START,
        entry=texts,
    )


def over(version: int = 3, *, host: str = HOST, start: datetime = SOON) -> Detail:
    """The same booking, cancelled."""
    return Detail(version=version, stands=False, pending=False, host=host, start=start, end=start + HOUR)


@dataclass(frozen=True)
class World:
    """A desk and what it is made of."""

    details: BookingDetails
    grants: MemoryGrants
    google: CalendarDouble
    ledger: MemoryLedger
    told: Told
    clock: Clock
    desk: Desk

    def connect(self, host: str = HOST) -> None:
        """Connect a host to one of Google's calendars."""
        calendar = calendar_of(host)
        self.grants.connect(host, calendar)
        self.google.add_calendar(calendar.calendar, calendar.token or "")

    def say(self, name: str, detail: Detail) -> None:
        """Let the booking service say this of the booking."""
        self.details.said[booking_id(name)] = detail

    def effect(self, name: str) -> Effect:
        return self.ledger.kept[booking_id(name)]

    def entries(self, host: str = HOST) -> list[Standing]:
        """What of ours stands in the host's calendar."""
        return self.google.entries(calendar_of(host).calendar)

    def pass_time(self, seconds: float) -> None:
        self.clock.move(timedelta(seconds=seconds))


def world() -> World:
    """The calendar-writer before the first event; HOST is connected."""
    details, grants, ledger, told, clock = BookingDetails(), MemoryGrants(), MemoryLedger(), Told(), Clock()
    google = CalendarDouble("google")
    calendars: dict[Provider, Calendar] = {"google": google}
    placing = Placing(calendars, grants, map)
    desk = Desk(details, grants, ledger, placing, told, EffectMaker(SECRET), clock)
    made = World(details, grants, google, ledger, told, clock, desk)
    made.connect()
    return made

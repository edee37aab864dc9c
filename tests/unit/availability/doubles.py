"""Availability's stores in memory, and a desk made of doubles."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from libs.contracts.events import Provider
from libs.contracts.questions import HostRules, StandingRules
from libs.mongo.outbox import Pending
from libs.providers.port import Calendar
from libs.testing.calendars import CalendarDouble
from libs.testing.clock import Clock
from libs.testing.grants import MemoryGrants, calendar_of
from libs.testing.outage import Outage, as_kept
from libs.testing.outbox import MemoryOutbox, Told
from libs.testing.switches import MemorySwitches
from services.availability.agenda import newest
from services.availability.desk import Desk, Limits
from services.availability.domain import Window
from services.availability.flights import Inquiry, Look
from services.availability.reading import Answer as Answering
from services.availability.reading import Reader
from services.availability.rulebook import unset
from services.availability.snapshots import Snapshots
from services.availability.standing import News, Standing

HOLD = timedelta(seconds=120)
LIMITS = Limits(grid_minutes=5, longest=timedelta(hours=8), horizon=timedelta(days=365))


class MemoryRuleBook(Outage):
    """The port RuleBook: of two who write the same version, one comes first."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, StandingRules] = {}
        self.outbox = MemoryOutbox("rules")

    def get(self, hosts: Collection[str]) -> Mapping[str, StandingRules]:
        with self.reached():
            return {host: self.kept.get(host, unset(host)) for host in hosts}

    def put(self, rules: StandingRules, event: Pending) -> bool:
        with self.reached():
            if self.kept.get(rules.host, unset(rules.host)).version != rules.version - 1:
                return False
            self.kept[rules.host] = rules
            self.outbox.put(rules.host, event)
            return True

    def arrange(self, host: str, **rules: Any) -> None:
        """Rules that stand already."""
        self.kept[host] = StandingRules(host=host, version=1, rules=msgspec.convert(rules, HostRules))


class MemoryAgenda(Outage):
    """The port Agenda: newer news of a booking replace older ones."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, Standing] = {}

    def note(self, news: Sequence[News]) -> None:
        with self.reached():
            for one in newest(news):
                known = self.kept.get(one.standing.booking)
                if known.order < one.standing.order if known else not one.amends:
                    self.kept[one.standing.booking] = as_kept(one.standing)

    def around(self, hosts: Collection[str], window: Window) -> Mapping[str, Sequence[Standing]]:
        with self.reached():
            found = [s for s in self.kept.values() if s.host in hosts and _within(s, window)]
            return {host: [s for s in found if s.host == host] for host in hosts}

    def counts(self, hosts: Collection[str], window: Window, now: datetime) -> Mapping[str, int]:
        taking = [s for host in self.around(hosts, window).values() for s in host if s.spans(now)]
        return {host: count for host in hosts if (count := sum(s.host == host for s in taking))}


def _within(standing: Standing, window: Window) -> bool:
    spans = [span for span in (standing.stands, standing.pending) if span]
    if not spans:
        return False
    return Window(min(s.start for s in spans), max(s.end for s in spans)).overlaps(window)


@dataclass(frozen=True)
class World:
    """A desk and what it is made of."""

    grants: MemoryGrants
    google: CalendarDouble
    microsoft: CalendarDouble
    switches: MemorySwitches
    rules: MemoryRuleBook
    agenda: MemoryAgenda
    told: Told
    rules_told: Told
    clock: Clock
    desk: Desk

    def connect(self, host: str, *providers: Provider) -> None:
        """Connect a host to a calendar at each of the providers."""
        calendars = [calendar_of(host, provider, name=f"{provider}-of-{host}") for provider in providers or ("google",)]
        self.grants.connect(host, *calendars)
        for calendar in calendars:
            self.provider(calendar.provider).add_calendar(calendar.calendar, calendar.token or "")

    def provider(self, name: Provider) -> CalendarDouble:
        return self.google if name == "google" else self.microsoft


class OneByOne:
    """The port Together: asks one after the other, and waits for each."""

    def soon(self, ask: Answering, questions: Sequence[Inquiry], within: float) -> Sequence[Sequence[Look] | None]:
        return [ask(question) for question in questions]

    def waves(self, ask: Answering, questions: Sequence[Inquiry]) -> Iterator[Mapping[int, Sequence[Look]]]:
        return ({at: ask(question)} for at, question in enumerate(questions))


def world(snapshot_seconds: float = 0) -> World:
    """Availability before the first question. Snapshots grow old by the same clock as everything else."""
    grants, rules, agenda = MemoryGrants(), MemoryRuleBook(), MemoryAgenda()
    told, rules_told, clock = Told(), Told(), Clock()
    google, microsoft = CalendarDouble("google"), CalendarDouble("microsoft")
    calendars: dict[Provider, Calendar] = {"google": google, "microsoft": microsoft}
    snapshots = Snapshots(snapshot_seconds, clock.seconds)
    reader = Reader(calendars, grants, OneByOne(), snapshots, 10, clock.seconds)
    switches = MemorySwitches()
    desk = Desk(grants, reader, switches, rules, agenda, told, rules_told, LIMITS, HOLD, clock)
    return World(grants, google, microsoft, switches, rules, agenda, told, rules_told, clock, desk)

"""Availability's answer book in memory, and a desk made of doubles."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from libs.contracts.events import Provider
from libs.providers.port import Calendar
from libs.testing.calendars import CalendarDouble
from libs.testing.clock import Clock
from libs.testing.grants import MemoryGrants, calendar_of
from libs.testing.outage import Outage, as_kept
from libs.testing.outbox import MemoryOutbox, Told
from services.availability.handlers import Desk
from services.availability.outgoing import Answer
from services.availability.reading import Reader

HOLD = timedelta(seconds=120)


class MemoryAnswers(Outage):
    """The port AnswerBook: the first answer to a question stands."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, Answer] = {}
        self.outbox = MemoryOutbox("answers")

    def add(self, answers: Sequence[Answer]) -> Sequence[Answer]:
        with self.reached():
            for answer in map(as_kept, answers):
                if answer.id not in self.kept:
                    self.kept[answer.id] = answer
                    self.outbox.put(answer.id, answer.event)
            return [self.kept[answer.id] for answer in answers]


@dataclass(frozen=True)
class World:
    """A desk and what it is made of."""

    grants: MemoryGrants
    google: CalendarDouble
    microsoft: CalendarDouble
    answers: MemoryAnswers
    told: Told
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


def world() -> World:
    """Availability before the first question."""
    grants, answers, told, clock = MemoryGrants(), MemoryAnswers(), Told(), Clock()
    google, microsoft = CalendarDouble("google"), CalendarDouble("microsoft")
    calendars: dict[Provider, Calendar] = {"google": google, "microsoft": microsoft}
    desk = Desk(grants, Reader(calendars, grants, map), answers, told, HOLD, clock)
    return World(grants, google, microsoft, answers, told, clock, desk)

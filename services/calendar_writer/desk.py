"""What the handlers work with: the ports, and how long, how often and how far ahead."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from libs.contracts.events import Provider
from libs.contracts.questions import CalendarAccess, Detail
from libs.messaging.grants import Grants
from libs.messaging.switched import Looks
from libs.mongo.outbox import Pending, Sends
from libs.providers.breaker import Outages
from libs.providers.port import Calendar
from services.calendar_writer.domain import Effect, Rhythm
from services.calendar_writer.placing import Placing
from services.calendar_writer.store import Ledger


class DetailsUnavailable(Exception):
    """The booking service does not answer, or not for every booking: that says nothing about any of them."""


Details = Callable[[Sequence[str]], Mapping[str, Detail | None]]
MakeEffect = Callable[[str, str, CalendarAccess, datetime, int], Effect]


class Reminds(Protocol):
    """Puts words of this service to itself into its own queue; false if the bus did not take them: then a sweep does it later."""

    def __call__(self, reminders: Sequence[Pending]) -> bool: ...


class Together(Protocol):
    """Does something for each of many, side by side; results in order."""

    def __call__(self, work: Callable[[Any], Any], items: Sequence[Any], /) -> Iterable[Any]: ...


class Aside(Protocol):
    """Does something beside the caller, who waits for it for at most so many seconds; it goes on after them.

    False if it is not over by then. Raises what it raised within that time.
    """

    def __call__(self, work: Callable[[], object], seconds: float, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What the handlers work with. `hurried` says whether writes wait for each other at this moment."""

    details: Details
    grants: Grants
    ledger: Ledger
    placing: Placing
    calendars: Mapping[Provider, Calendar]
    relay: Sends
    remind: Reminds
    new_effect: MakeEffect
    clock: Callable[[], datetime]
    together: Together
    aside: Aside
    outages: Outages
    switches: Looks
    rhythm: Rhythm
    hurried: Callable[[], bool] = lambda: False

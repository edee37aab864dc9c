"""Both providers' calendars behind one door."""

from collections.abc import Mapping, Sequence

from libs.config.settings import Settings
from libs.contracts.events import Provider
from libs.providers.egress import Door
from libs.providers.google import GoogleCalendar
from libs.providers.limits import KeyedLimiter
from libs.providers.microsoft import MicrosoftCalendar
from libs.providers.port import Busy, Calendar, Entry, Interval, Placed, Unreadable


def calendars(settings: Settings) -> dict[Provider, Calendar]:
    """The adapter of each provider."""
    door = Door(settings)
    microsoft = Limited(MicrosoftCalendar(door, settings), KeyedLimiter(), settings.provider_timeout)
    return {"google": GoogleCalendar(door, settings), "microsoft": microsoft}


class Limited:
    """A calendar with a few calls at once per mailbox; a process uses one token per mailbox, which serves as its key.

    Raises TryLater("mailbox-busy") if no place comes free within `patience` seconds.
    """

    def __init__(self, calendar: Calendar, limiter: KeyedLimiter, patience: float) -> None:
        self.provider: Provider = calendar.provider
        self._calendar = calendar
        self._limiter = limiter
        self._patience = patience

    def busy(self, token: str, calendars: Sequence[str], window: Interval) -> Mapping[str, Busy | Unreadable]:
        """See the port."""
        with self._limiter.slot(token, self._patience):
            return self._calendar.busy(token, calendars, window)

    def put(self, token: str, calendar: str, entry: Entry) -> Placed:
        """See the port."""
        with self._limiter.slot(token, self._patience):
            return self._calendar.put(token, calendar, entry)

    def remove(self, token: str, calendar: str, entry: Entry) -> bool:
        """See the port."""
        with self._limiter.slot(token, self._patience):
            return self._calendar.remove(token, calendar, entry)

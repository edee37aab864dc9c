"""Both providers' calendars behind one door, each with a circuit breaker and a limit per mailbox."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

from libs.config.settings import Settings
from libs.contracts.events import Provider
from libs.providers.breaker import Breaker, Circuit
from libs.providers.egress import Door
from libs.providers.google import GoogleCalendar
from libs.providers.limits import GOOGLE, MICROSOFT, KeyedLimiter
from libs.providers.microsoft import MicrosoftCalendar
from libs.providers.port import Busy, Calendar, Entry, Interval, Placed, Sighting, Unreadable
from libs.providers.switches import Switches

Guard = Callable[[str], AbstractContextManager[None]]
"""Given a call's access token, the context in which the call is made; may raise instead of letting it through."""

Mailbox = Callable[[str], str]
"""Names the mailbox that an access token opens, the same however often the token is renewed."""

Circuits = Mapping[Provider, Circuit]


def circuits() -> Circuits:
    """A closed circuit for each provider."""
    return {"google": Circuit(), "microsoft": Circuit()}


def calendars(
    settings: Settings, known: Circuits | None = None, switches: Switches | None = None, mailbox: Mailbox = str
) -> dict[Provider, Calendar]:
    """The adapter of each provider. One set per process: the circuits (those given, if any) and the limits are kept in it.

    For a provider that `switches` know to be off, nothing is sent. Limits and pauses hold per `mailbox`; without, per token.
    """
    door, patience, kept = Door(settings, switches=switches), settings.provider_timeout, known or circuits()
    google = guarded(GoogleCalendar(door, settings), Breaker("google", kept["google"]))
    microsoft = guarded(MicrosoftCalendar(door, settings), Breaker("microsoft", kept["microsoft"]))
    # The limit is the outer one, so that a wait for one's turn is no sign that the provider is down.
    return {
        "google": limited(google, GOOGLE, patience, mailbox),
        "microsoft": limited(microsoft, MICROSOFT, patience, mailbox),
    }


def limited(calendar: Calendar, most: int, patience: float, mailbox: Mailbox = str) -> Calendar:
    """The calendar with at most so many calls at once for one mailbox; each waits for its turn for `patience` seconds.

    A mailbox that asked to be left alone is left alone also when its access token is renewed meanwhile.
    """
    limiter = KeyedLimiter(most)
    return Guarded(calendar, lambda token: limiter.slot(mailbox(token), patience))


def guarded(calendar: Calendar, breaker: Breaker) -> Calendar:
    """The calendar behind a circuit breaker."""
    return Guarded(calendar, breaker.call)


class Guarded:
    """A calendar whose every call runs inside a guard."""

    def __init__(self, calendar: Calendar, guard: Guard) -> None:
        self.provider: Provider = calendar.provider
        self._calendar = calendar
        self._guard = guard

    def busy(self, token: str, calendars: Sequence[str], window: Interval) -> Mapping[str, Busy | Unreadable]:
        """See the port."""
        with self._guard(token):
            return self._calendar.busy(token, calendars, window)

    def put(self, token: str, calendar: str, entry: Entry) -> Placed:
        """See the port."""
        with self._guard(token):
            return self._calendar.put(token, calendar, entry)

    def remove(self, token: str, calendar: str, entry: Entry, *, for_good: bool = False) -> bool:
        """See the port."""
        with self._guard(token):
            return self._calendar.remove(token, calendar, entry, for_good=for_good)

    def look(self, token: str, calendar: str, entry: Entry) -> Sighting | None:
        """See the port."""
        with self._guard(token):
            return self._calendar.look(token, calendar, entry)

    def discard(self, token: str, calendar: str, entry: Entry, remote_id: str) -> bool:
        """See the port."""
        with self._guard(token):
            return self._calendar.discard(token, calendar, entry, remote_id)

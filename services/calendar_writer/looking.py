"""Looking at entries where they stand: one look each, many side by side, and a stop when a provider is not to be asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from libs.contracts.events import Provider
from libs.contracts.questions import CalendarAccess
from libs.providers.errors import ProviderError, RateLimited, SwitchedOff, Unauthorized
from libs.providers.port import Calendar, Entry, Interval, Sighting
from libs.telemetry.logs import logger
from services.calendar_writer.desk import Desk
from services.calendar_writer.domain import Effect
from services.calendar_writer.placing import entry_of

CIRCUIT_OPEN = "circuit-open"
"""The label of `libs.providers.breaker`: the provider is not asked for a while."""


WHOLE_PROJECT = frozenset({"google-429", *(f"google-403-{why}" for why in ("rateLimitExceeded", "quotaExceeded"))})
"""Labels of limits that hold for Valet as a whole: holds and writes need what is left of them."""
MANY, SEVERAL = 10, 3
"""So many entries, of so many hosts, are not deleted by their hosts within a second."""


@dataclass(frozen=True, slots=True)
class Spot:
    """An entry to look at, its booking's own time, and the calendar it is in."""

    effect: Effect
    booked: Interval
    calendar: CalendarAccess


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen. Not `read`: the calendar could not be looked into, and nothing is known."""

    spot: Spot
    sighting: Sighting | None = None
    read: bool = True
    discarded: int = 0

    @property
    def stands(self) -> Interval | None:
        """Where the entry stands; None if it does not, or is not known to."""
        return Interval(self.sighting.start, self.sighting.end) if self.sighting else None


def believed(looks: Sequence[Look]) -> list[Look]:
    """The looks. Those at a provider that finds hardly any of our entries count as not read: that is its trouble, and not many
    hosts' doing; and what is taken for deleted by its host is cancelled for good."""
    providers = {look.spot.calendar.provider for look in looks}
    doubted = {name for name in providers if _doubtful([k for k in looks if k.spot.calendar.provider == name])}
    for provider in doubted:
        logger().error("entries not found are not taken for deleted: there are too many at once", provider=provider)
    return [Look(k.spot, read=False) if k.spot.calendar.provider in doubted else k for k in looks]


def _doubtful(looks: Sequence[Look]) -> bool:
    read = [look for look in looks if look.read]
    lost = [look for look in read if look.sighting is None]
    hosts = {look.spot.effect.host for look in lost}
    return len(lost) >= MANY and len(hosts) >= SEVERAL and 2 * len(lost) > len(read)


class Looker:
    """Looks during one round; a provider whose circuit is open, or an account that has its limit, is not asked again in it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._calendars: Mapping[Provider, Calendar] = desk.calendars
        self._closed: set[Provider | str] = set()

    def at(self, spots: Sequence[Spot]) -> list[Look]:
        """Look at each; extras (further entries with our mark) are removed on the way."""
        return list(self._desk.together(self._at, spots))

    def refused(self, calendar: CalendarAccess, host: str, error: ProviderError) -> None:
        """Draw the conclusions from an error."""
        if isinstance(error, Unauthorized):
            self._desk.grants.forget(host, calendar)
        if error.label in (CIRCUIT_OPEN, *WHOLE_PROJECT) or isinstance(error, SwitchedOff):
            self._closed.add(calendar.provider)
        elif isinstance(error, RateLimited):
            self._closed.add(calendar.connection)

    def open(self, calendar: CalendarAccess) -> bool:
        """Whether the calendar may be asked in this round."""
        return not self._closed & {calendar.provider, calendar.connection}

    def _at(self, spot: Spot) -> Look:
        if not self.open(spot.calendar):
            return Look(spot, read=False)
        adapter, token, name = (
            self._calendars[spot.calendar.provider],
            spot.calendar.token or "",
            spot.calendar.calendar,
        )
        entry = entry_of(spot.effect)
        try:
            sighting = adapter.look(token, name, entry)
            discarded = self._discard(adapter, spot, entry, sighting.extras) if sighting else 0
        except ProviderError as error:
            self.refused(spot.calendar, spot.effect.host, error)
            return Look(spot, read=False)
        except Exception as error:  # noqa: BLE001 - a fault of our own in one look must not end the others
            logger().error("look failed", booking=spot.effect.booking, error=error)
            return Look(spot, read=False)
        return replace(Look(spot, sighting), discarded=discarded)

    def _discard(self, adapter: Calendar, spot: Spot, entry: Entry, extras: Sequence[str]) -> int:
        token, name = spot.calendar.token or "", spot.calendar.calendar
        gone = sum(adapter.discard(token, name, entry, extra) for extra in extras)
        if gone:
            logger().warning("duplicates removed", booking=spot.effect.booking, count=gone)
        return gone

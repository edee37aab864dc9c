"""At most one request per connection under way: whoever asks the same meanwhile shares its answer.

Made of threading's parts, which are greenlets' under eventlet.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from libs.contracts.events import Provider
from libs.contracts.questions import CalendarAccess
from libs.providers.port import Busy, Unreadable
from services.availability.domain import Window


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What somebody wants to know of one connection of a host: these calendars' busy times in these windows.

    Answers for windows that `kept` names may be remembered and may have begun before; all others must be fresh.
    """

    host: str
    connection: str
    provider: Provider
    token: str = field(repr=False)
    calendars: tuple[CalendarAccess, ...]
    windows: tuple[Window, ...]
    kept: tuple[Window, ...] = ()

    @property
    def fresh(self) -> bool:
        return not self.kept

    def answers(self, other: "Inquiry") -> bool:
        """Whether an answer to this one is an answer to the other."""
        asked = {calendar.calendar for calendar in self.calendars}
        known = all(calendar.calendar in asked for calendar in other.calendars)
        return known and all(any(own.covers(window) for own in self.windows) for window in other.windows)

    def and_(self, other: "Inquiry") -> "Inquiry":
        """Both in one. The other came later, so its token is no older."""
        calendars = {c.calendar: c for c in (*self.calendars, *other.calendars)}
        windows = dict.fromkeys((*self.windows, *other.windows))
        kept = dict.fromkeys((*self.kept, *other.kept))
        return replace(other, calendars=tuple(calendars.values()), windows=tuple(windows), kept=tuple(kept))


@dataclass(frozen=True, slots=True)
class Look:
    """What the provider said of one window, by calendar. `began` is a monotonic clock's time in seconds."""

    window: Window
    began: float
    results: Mapping[str, Busy | Unreadable]


class Flights:
    """Takes inquiries to a provider, one flight per connection at a time; those who come while one is away share the next.

    `fly` asks the provider: it must not raise for what a provider does.
    """

    def __init__(self, fly: Callable[[Inquiry], Sequence[Look]]) -> None:
        self._fly = fly
        self._lock = threading.Lock()
        self._away: dict[str, _Flight] = {}
        self._boarding: dict[str, _Flight] = {}

    def ask(self, inquiry: Inquiry, known: Callable[[], Sequence[Look]] = tuple) -> Sequence[Look]:
        """The answer, perhaps shared; none if the flight failed. What is `known` keeps everybody at home: nobody lands between
        the look at it and the decision to fly."""
        with self._lock:
            if found := known():
                return found
            flight, ahead, leads = self._board(inquiry)
        if leads:
            self._lead(flight, ahead)
        else:
            flight.landed.wait()
        return flight.looks

    def _board(self, inquiry: Inquiry) -> "tuple[_Flight, _Flight | None, bool]":
        """A place in a flight, the flight that must land before, and whether the one who asks leads it."""
        away, boarding = self._away.get(inquiry.connection), self._boarding.get(inquiry.connection)
        if away and not inquiry.fresh and away.inquiry.answers(inquiry):
            return away, None, False
        if boarding:
            boarding.inquiry = boarding.inquiry.and_(inquiry)
            return boarding, None, False
        flight = self._boarding[inquiry.connection] = _Flight(inquiry)
        return flight, away, True

    def _lead(self, flight: "_Flight", ahead: "_Flight | None") -> None:
        connection = flight.inquiry.connection
        try:
            if ahead:
                ahead.landed.wait()
            with self._lock:
                self._away[connection] = self._boarding.pop(connection)
            flight.looks = self._fly(flight.inquiry)
        finally:
            self._land(flight)

    def _land(self, flight: "_Flight") -> None:
        """Let everybody out, also where something went wrong."""
        with self._lock:
            for flights in (self._away, self._boarding):
                if flights.get(flight.inquiry.connection) is flight:
                    del flights[flight.inquiry.connection]
        flight.landed.set()


class _Flight:
    def __init__(self, inquiry: Inquiry) -> None:
        self.inquiry = inquiry
        self.looks: Sequence[Look] = ()
        self.landed = threading.Event()

"""One handle for every kind of calendar, so that one suite judges them all, and the doubles behind it.

The real clients are in sandbox_rigs.py.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from libs.contracts.events import Provider
from libs.providers.errors import ProviderError, RateLimited, Unreachable
from libs.providers.ids import google_event_id, mark, transaction_id
from libs.providers.port import Calendar, Entry
from libs.testing.calendars import CalendarDouble

DAY = datetime(2030, 5, 6, tzinfo=UTC)
SECRET = b"a made-up secret for tests......"
PAUSE = 7
DONE = frozenset({"lost-answer", "dropped-answer", "garbage", "half-broken"})
"""The faults under which the call takes effect."""


def at(hour: float) -> datetime:
    """That hour of the test's day, in UTC."""
    return DAY + timedelta(hours=hour)


def entry(start: datetime, end: datetime, booking: str = "bk_a", **changes: Any) -> Entry:
    """A booking as it should stand."""
    made = Entry(
        event_id=google_event_id(SECRET, booking, "primary", 1),
        transaction_id=transaction_id(SECRET, booking, "primary", 1),
        mark=mark(SECRET, booking, "primary", 1),
        start=start,
        end=end,
        title="Ada Example",
        description="Booked through Valet",
    )
    return replace(made, **changes)


@dataclass(frozen=True)
class Seen:
    """An entry of Valet's as the calendar itself shows it."""

    start: datetime
    end: datetime
    title: str


class Rig(Protocol):
    """A calendar under test, with what its owner and the weather can do to it."""

    token: str
    calendar: str

    @property
    def port(self) -> Calendar: ...

    def outside(self, start: datetime, end: datetime) -> str: ...

    def foreign(self, like: Entry) -> Entry:
        """Put an entry of the host's own where ours would go; the entry as we would ask for it."""
        ...

    def ours(self) -> list[Seen]: ...

    def outsiders(self) -> list[tuple[datetime, datetime]]: ...

    def in_bin(self) -> list[str]:
        """Titles and texts of Valet's own that the provider still has in its bin."""
        ...

    def created(self) -> int: ...

    def host_deletes(self, placed_id: str, placed: Entry) -> None: ...

    def host_moves(self, placed_id: str, placed: Entry, start: datetime, end: datetime) -> None: ...

    def host_makes_all_day(self, placed_id: str, placed: Entry) -> None: ...

    def host_moves_away(self, placed_id: str, placed: Entry) -> None:
        """The host moves our entry to another calendar of their own."""
        ...

    def duplicate(self, like: Entry) -> str:
        """Make a second entry with our mark, as a create that doubled leaves it; its id. Not with Google."""
        ...

    def fault(self, operation: str, kind: str) -> None:
        """`operation`: busy, put, patch, remove, discard or look.

        `kind`: lost-answer, dropped-answer, lost-request, dropped-request, garbage, busy-signal, broken, half-broken (it took
        effect all the same) or expired.
        """
        ...


class DoubleRig:
    """The in-memory double."""

    calendar = "primary"
    token = "made-up"

    def __init__(self, provider: Provider = "google") -> None:
        self.port = CalendarDouble(provider)
        self.port.add_calendar(self.calendar, self.token)

    def outside(self, start: datetime, end: datetime) -> str:
        return self.port.add_outside(self.calendar, start, end)

    def foreign(self, like: Entry) -> Entry:
        self.port.add_outside(self.calendar, at(1), at(2), like.event_id)
        return like

    def ours(self) -> list[Seen]:
        return [Seen(s.span.start, s.span.end, s.title) for s in self.port.entries(self.calendar)]

    def outsiders(self) -> list[tuple[datetime, datetime]]:
        return self.port.outsiders(self.calendar)

    def in_bin(self) -> list[str]:
        return self.port.in_bin(self.calendar)

    def created(self) -> int:
        return self.port.created

    def host_deletes(self, placed_id: str, placed: Entry) -> None:
        self.port.delete_as_host(self.calendar, placed)

    def host_moves(self, placed_id: str, placed: Entry, start: datetime, end: datetime) -> None:
        self.port.move_as_host(self.calendar, placed, start, end)

    def host_makes_all_day(self, placed_id: str, placed: Entry) -> None:
        self.port.move_as_host(self.calendar, placed, at(0), at(24))

    def host_moves_away(self, placed_id: str, placed: Entry) -> None:
        self.port.add_calendar("second", self.token)
        self.port.move_away_as_host(self.calendar, placed, "second")

    def duplicate(self, like: Entry) -> str:
        return self.port.add_duplicate(self.calendar, like)

    def fault(self, operation: Any, kind: str) -> None:
        errors: dict[str, ProviderError] = {
            "garbage": Unreachable("unreadable-answer"),
            "broken": Unreachable("double-503"),
            "half-broken": Unreachable("double-503"),
            "busy-signal": RateLimited("double-429", PAUSE),
        }
        if kind == "expired":
            self.port.expire(self.token)
        else:
            error = errors.get(kind, Unreachable("timed-out"))
            self.port.fail("put" if operation == "patch" else operation, error, "after" if kind in DONE else "before")

"""What Valet can ask of a calendar, whichever provider keeps it. Nothing here has room for a title or an attendee that was read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from libs.contracts.events import Provider


@dataclass(frozen=True, slots=True)
class Interval:
    """A half-open span [start, end) of two instants in UTC."""

    start: datetime
    end: datetime

    def overlaps(self, other: "Interval") -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Busy:
    """When someone is busy, merged and sorted; complete for the window that was asked for, as of the instant `as_of`."""

    intervals: tuple[Interval, ...]
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The calendar could not be read: it is unknown, and unknown is never free. `why` is a label without personal data."""

    why: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A booking as it should stand in a calendar.

    `event_id` is the client-made id (Google), `transaction_id` the key that makes a create repeatable (Microsoft); both are
    derived from booking, calendar and generation, and were stored before the first try. `mark` is what our private property
    says, by which we know our own entry. `remote_id` is the provider's id once it is known.
    """

    event_id: str
    transaction_id: str
    mark: str
    start: datetime
    end: datetime
    title: str = field(repr=False)
    description: str = field(repr=False)
    remote_id: str | None = None
    tried_before: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """The entry stands. `created` is false where an earlier try had already made it."""

    remote_id: str
    created: bool


class Calendar(Protocol):
    """One provider's calendars. `token` is an access token; `calendar` the provider's id of one calendar.

    Every method raises errors of `libs.providers.errors` only. Each exchange with the provider has the provider time-out as
    its total deadline; `put` and `remove` make at most three exchanges, `busy` one per page or window.
    """

    provider: Provider

    def busy(self, token: str, calendars: Sequence[str], window: Interval) -> Mapping[str, Busy | Unreadable]:
        """Busy times of each calendar within the window. A calendar that cannot be read is Unreadable, not missing."""
        ...

    def put(self, token: str, calendar: str, entry: Entry) -> Placed:
        """Make the entry stand exactly once, however often this is called, and in the form given (insert or patch).

        Resolves an unclear outcome (time-out, 5xx, 409) by reading our own entry back. Raises DeletedByHost if the host
        removed it, ForeignEntry if something that is not ours has its id.
        """
        ...

    def remove(self, token: str, calendar: str, entry: Entry) -> bool:
        """Make the entry be gone; false if it was gone already. Removes only what carries our mark."""
        ...

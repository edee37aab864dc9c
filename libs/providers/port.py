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
    """When someone is busy, merged and sorted; complete for the window that was asked for, as of the instant `as_of`.

    `single` has one span per busy entry, sorted, each as it stands and not cut to the window; merged and cut they are
    `intervals`. None where the provider tells only merged times (Google's freeBusy), so that entries cannot be told apart.
    """

    intervals: tuple[Interval, ...]
    as_of: datetime
    single: tuple[Interval, ...] | None = None


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


@dataclass(frozen=True, slots=True)
class Sighting:
    """Our entry as it stands in the calendar now, wherever the host may have moved it.

    Start and end are in UTC; of an entry that the host made an all-day one they are midnight UTC of its days. `extras` are the
    remote ids of further entries with the same mark, that is, of duplicates (Google: none, since ours have an id of our choice).
    """

    remote_id: str
    start: datetime
    end: datetime
    extras: tuple[str, ...] = ()


class Calendar(Protocol):
    """One provider's calendars. `token` is an access token; `calendar` the provider's id of one calendar.

    Every method raises errors of `libs.providers.errors` only, and after an unclear outcome (Unreachable) the same call may be
    made again: it ends as if it had been made once. Each exchange with the provider has the provider time-out as its total
    deadline; `put` makes at most four exchanges, `look` two, `remove` and `discard` one and one per entry removed (for good:
    three), `busy` one per page or window.

    Where several entries carry the mark (Microsoft, should a create ever double), the entry itself is the one with
    `entry.remote_id`, or else the one with the lowest id: whoever asks, and whenever, means the same one.
    """

    provider: Provider

    def busy(self, token: str, calendars: Sequence[str], window: Interval) -> Mapping[str, Busy | Unreadable]:
        """Busy times of each calendar within the window. A calendar that cannot be read is Unreadable, not missing."""
        ...

    def put(self, token: str, calendar: str, entry: Entry) -> Placed:
        """Make the entry stand exactly once, however often this is called, and in the form given (insert or patch).

        Resolves an unclear insert (time-out, 5xx, 409) by reading our own entry back. Raises DeletedByHost if the host
        removed it, ForeignEntry if something that is not ours has its id.
        """
        ...

    def look(self, token: str, calendar: str, entry: Entry) -> Sighting | None:
        """The entry as it stands now; None if nothing with our mark stands: the host deleted it, or it never was there.

        Reads id, status and times of our own entries only. Raises ForeignEntry if something that is not ours has its id.
        """
        ...

    def discard(self, token: str, calendar: str, entry: Entry, remote_id: str) -> bool:
        """Remove one duplicate, as `look` named it in `extras`; false if there is no such duplicate (any more).

        Never removes the entry itself, nor anything without our mark.
        """
        ...

    def remove(self, token: str, calendar: str, entry: Entry, *, for_good: bool = False) -> bool:
        """Make the entry and its duplicates be gone; false if they were gone already. Removes only what carries our mark.

        Providers keep what is deleted in a bin for a while. With `for_good` its title and text are taken out first, and it does
        not go through a bin that can be passed by. Raises ForeignEntry if something that is not ours has its id.
        """
        ...

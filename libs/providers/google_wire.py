"""What is read of Google's answers, and nothing more; and what its errors mean."""

from datetime import UTC, datetime, time
from datetime import date as day
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from libs.providers.answers import Answer
from libs.providers.errors import (
    GrantDead,
    ProviderError,
    RateLimited,
    Refused,
    TryLater,
    Unauthorized,
    Unreachable,
)

Instant = Annotated[datetime, Meta(tz=True)]
LONG_PAUSE: Final = 3600.0
"""Seconds, after a quota of a day or of a whole project is used up."""


class Span(Struct, frozen=True):
    """A busy time."""

    start: Instant
    end: Instant


class CalendarFault(Struct, frozen=True):
    """Why one calendar of a freeBusy answer could not be read."""

    reason: str = ""


class FreeBusyCalendar(Struct, frozen=True):
    """One calendar of a freeBusy answer. Errors come here, inside a 200."""

    busy: list[Span] = []
    errors: list[CalendarFault] = []


class FreeBusy(Struct, frozen=True):
    """The answer to freeBusy.query."""

    calendars: dict[str, FreeBusyCalendar]


class Moment(Struct, frozen=True):
    """Start or end of an entry; an all-day one (the host made it so) has a `date` and no `dateTime`."""

    dateTime: Instant | None = None  # noqa: N815 - Google's name
    date: day | None = None

    @property
    def instant(self) -> datetime:
        """In UTC; for a day its midnight UTC. Raises Unreachable if the answer names neither."""
        if self.dateTime is not None:
            return self.dateTime.astimezone(UTC)
        if self.date is None:
            raise Unreachable("unreadable-answer")
        return datetime.combine(self.date, time.min, UTC)


class Private(Struct, frozen=True):
    """Our own private properties."""

    valetBooking: str = ""  # noqa: N815 - the property's name
    valetText: str = ""  # noqa: N815 - the property's name


class Properties(Struct, frozen=True):
    """Extended properties: the private ones."""

    private: Private = Private()


class Event(Struct, frozen=True):
    """An entry, without room for title, text or guests."""

    id: str
    status: str
    start: Moment = Moment()
    end: Moment = Moment()
    extendedProperties: Properties = Properties()  # noqa: N815 - Google's name

    @property
    def mark(self) -> str:
        """Our mark; empty if the entry is not ours."""
        return self.extendedProperties.private.valetBooking

    @property
    def text(self) -> str:
        """The digest of title and text as Valet last wrote them."""
        return self.extendedProperties.private.valetText

    @property
    def starts(self) -> datetime | None:
        """Start, an instant; None for an all-day entry."""
        return self.start.dateTime

    @property
    def ends(self) -> datetime | None:
        """End, an instant; None for an all-day entry."""
        return self.end.dateTime


class _Item(Struct, frozen=True):
    reason: str = ""


class _Error(Struct, frozen=True):
    errors: list[_Item] = []


class _ErrorBody(Struct, frozen=True):
    error: _Error = _Error()


REASONS: Final[dict[str, type[ProviderError]]] = {
    "rateLimitExceeded": RateLimited,
    "userRateLimitExceeded": RateLimited,
    "quotaExceeded": RateLimited,
    "dailyLimitExceeded": RateLimited,
    "calendarUsageLimitsExceeded": RateLimited,
    "insufficientPermissions": GrantDead,
    "accessNotConfigured": TryLater,
}
"""Reasons of a 403. `accessNotConfigured` is the operator's to mend (the API is off in the project), so it is passing."""

SLOW: Final = frozenset({"quotaExceeded", "dailyLimitExceeded", "calendarUsageLimitsExceeded", "accessNotConfigured"})


def failure(answer: Answer) -> ProviderError:
    """What a status other than 2xx means. The label holds a status or a reason from the list above, never the message."""
    status = answer.status
    if status == 401:
        return Unauthorized("google-401")
    if status == 403:
        return _forbidden(answer)
    if status == 429:
        return RateLimited("google-429", answer.retry_after)
    if status >= 500 or status == 408:
        return Unreachable(f"google-{status}", answer.retry_after)
    if status in (409, 412):  # somebody else was changing the same entry
        return TryLater(f"google-{status}", answer.retry_after)
    return Refused(f"google-{status}")


def _forbidden(answer: Answer) -> ProviderError:
    reason = next((item.reason for item in _reasons(answer) if item.reason in REASONS), "")
    kind = REASONS.get(reason, Refused)
    label = f"google-403-{reason}" if reason else "google-403"
    if not issubclass(kind, TryLater):
        return kind(label)
    return kind(label, answer.retry_after or (LONG_PAUSE if reason in SLOW else None))


def _reasons(answer: Answer) -> list[_Item]:
    try:
        return msgspec.json.decode(answer.body, type=_ErrorBody).error.errors
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []

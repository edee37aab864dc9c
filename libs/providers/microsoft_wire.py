"""What is read of Graph's answers, and nothing more; and what its errors mean."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from libs.providers.answers import Answer
from libs.providers.errors import ProviderError, RateLimited, Refused, TryLater, Unauthorized, Unreachable

LONG_PAUSE: Final = 3600.0
NOT_BUSY: Final = frozenset({"free", "workingElsewhere"})
"""The values of showAs that leave the time open; every other one, known or not, counts as busy."""

_TIME: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?\Z"


class Moment(Struct, frozen=True):
    """A dateTimeTimeZone. We ask for UTC in every request; another zone in the answer is not understood."""

    dateTime: Annotated[str, Meta(pattern=_TIME)]  # noqa: N815 - Graph's name
    timeZone: Literal["UTC", "Etc/UTC", "tzone://Microsoft/Utc"]  # noqa: N815 - Graph's name

    @property
    def instant(self) -> datetime:
        """In UTC, to the microsecond (Graph writes seven decimals). Raises Unreachable if there is no such time."""
        try:
            return datetime.fromisoformat(re.sub(r"(\.\d{6})\d", r"\1", self.dateTime)).replace(tzinfo=UTC)
        except ValueError:
            raise Unreachable("unreadable-answer") from None


class View(Struct, frozen=True):
    """One entry of a calendarView: when, and whether it blocks the time. No room for anything else."""

    start: Moment
    end: Moment
    showAs: str  # noqa: N815 - Graph's name


class Views(Struct, frozen=True):
    """A page of a calendarView."""

    value: list[View]
    next_link: str | None = field(name="@odata.nextLink", default=None)


class Found(Struct, frozen=True):
    """One of our own entries: its id and times."""

    id: str
    start: Moment
    end: Moment


class FoundList(Struct, frozen=True):
    """The entries that carry our mark."""

    value: list[Found]


class Made(Struct, frozen=True):
    """The answer to a create or a patch: the id alone is read."""

    id: Annotated[str, Meta(min_length=1)]


def failure(answer: Answer) -> ProviderError:
    """What a status other than 2xx means. Source: learn.microsoft.com/graph/errors and …/graph/throttling."""
    status = answer.status
    if status == 401:
        return Unauthorized("microsoft-401")
    if status in (429, 509):
        return RateLimited(f"microsoft-{status}", answer.retry_after)
    if status == 507:  # the mailbox is full: it can still be read, so this is no rate limit
        return TryLater("microsoft-507", answer.retry_after or LONG_PAUSE)
    if status >= 500 or status in (408, 423):
        return Unreachable(f"microsoft-{status}", answer.retry_after)
    if status in (409, 412):  # somebody else was changing the same entry
        return TryLater(f"microsoft-{status}", answer.retry_after)
    return Refused(f"microsoft-{status}")

"""What came back from a provider, and how to read it."""

import email.utils
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from libs.providers.errors import ProviderError, Refused, Unreachable

T = TypeVar("T")
LONGEST_PAUSE = 86_400.0
"""Seconds. A provider that asks for more is asked again after a day."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A provider's answer. Header names are lower case; neither body nor headers are ever shown."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait, from `Retry-After` (RFC 9110, 10.2.3: seconds or an HTTP date). None if it is absent or unreadable."""
        text = self.headers.get("retry-after", "").strip()
        seconds = float(text) if text.isascii() and text.isdigit() else _until(text)
        return None if seconds is None else min(max(seconds, 0.0), LONGEST_PAUSE)


def _until(text: str) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - datetime.now(UTC)).total_seconds()


def decode(answer: Answer, kind: type[T]) -> T:
    """The body as `kind`, strictly. Raises Unreachable: garbage says nothing of whether the request took effect."""
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unreachable("unreadable-answer") from None


def emptied(answer: Answer) -> None:
    """Check the answer to a good delete: it has no body. Raises Unreachable: a body comes from somebody else on the way."""
    if answer.body:
        raise Unreachable("unreadable-answer")


def passed(answer: Answer, failure: Callable[[Answer], ProviderError]) -> bool:
    """Whether the provider did it; false if it will not. Raises what else `failure` makes of the answer: that passes."""
    if answer.status // 100 == 2:
        return True
    error = failure(answer)
    if isinstance(error, Refused):
        return False
    raise error

"""Signed links. What a link needs to work is in the link, so that it outlives a restart; a changed one is refused."""

import hashlib
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from itsdangerous import BadData, URLSafeSerializer


class Span(msgspec.Struct, frozen=True):
    """A half-open interval of two instants (UTC)."""

    start: datetime
    end: datetime


class Ticket(msgspec.Struct, frozen=True):
    """One form, sent once however often it is posted: the id of the request that it becomes."""

    id: str
    about: str  # the host, or the booking that is to change
    span: Span | None = None


class Asked(msgspec.Struct, frozen=True):
    """A booking that was asked for. `sealed` opens for Valet alone; with it the very same request can be sent again."""

    id: str
    host: str
    span: Span
    sealed: str


class Held(msgspec.Struct, frozen=True):
    """The right to cancel or to move a booking: whoever has the link has it. `id` is the request that the booking came from."""

    booking: str
    id: str
    host: str
    span: Span


class Change(msgspec.Struct, frozen=True):
    """A change that was asked for: a move to `to`, or without it a cancellation."""

    id: str
    held: Held
    to: Span | None = None


Content = TypeVar("Content", Ticket, Asked, Held, Change)


class LinkWrong(Exception):
    """The link was not made by this site, or not for this purpose, or it was changed on the way."""


class Links:
    """Signs and reads links (HMAC-SHA-256). The purpose is part of the signature: a link to move does not cancel."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def sign(self, purpose: str, content: Ticket | Asked | Held | Change) -> str:
        """Text for a URL or a form. It can be read by whoever has it, but not changed."""
        return str(self._serializer(purpose).dumps(msgspec.to_builtins(content)))

    def read(self, purpose: str, text: str, kind: type[Content]) -> Content:
        """Raises LinkWrong."""
        try:
            return msgspec.convert(self._serializer(purpose).loads(text), kind)
        except (BadData, msgspec.ValidationError):
            raise LinkWrong from None

    def _serializer(self, purpose: str) -> URLSafeSerializer:
        kwargs: dict[str, Any] = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        return URLSafeSerializer(self._secret, salt=f"example-site/{purpose}", signer_kwargs=kwargs)


def over(span: Span, now: datetime) -> bool:
    """Whether an appointment has passed, and its links with it."""
    return span.end.astimezone(UTC) <= now

"""Ids that come out the same on every try, so that a repeated write is recognised by the provider and by us.

All are HMAC-SHA256 over booking, calendar and generation, each under a label of its own; the secret is 16 bytes or more.
The generation grows when a booking's entry must be made anew (say, in another calendar), and only then.
"""

import base64
import hashlib
import hmac
import uuid

SHORTEST_SECRET = 16


def google_event_id(secret: bytes, booking: str, calendar: str, generation: int) -> str:
    """An id for `events.insert`: 52 characters of a-v and 0-9, as Google asks (base32hex of RFC 4648, lower case)."""
    return _base32hex(_digest(secret, "google-event-id", booking, calendar, generation))


def transaction_id(secret: bytes, booking: str, calendar: str, generation: int) -> str:
    """A `transactionId` for Graph: shaped as a UUID (version 8 of RFC 9562, for values of one's own making)."""
    raw = bytearray(_digest(secret, "transaction-id", booking, calendar, generation)[:16])
    raw[6] = (raw[6] & 0x0F) | 0x80
    raw[8] = (raw[8] & 0x3F) | 0x80
    return str(uuid.UUID(bytes=bytes(raw)))


def mark(secret: bytes, booking: str, calendar: str, generation: int) -> str:
    """What our private property says on an entry: nobody else can make it, and it tells nothing of the booking."""
    return _base32hex(_digest(secret, "mark", booking, calendar, generation))


def _digest(secret: bytes, label: str, booking: str, calendar: str, generation: int) -> bytes:
    if len(secret) < SHORTEST_SECRET:
        raise ValueError(f"the secret for ids must have at least {SHORTEST_SECRET} bytes")
    parts = [part.encode() for part in (label, booking, calendar, str(generation))]
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hmac.new(secret, framed, hashlib.sha256).digest()


def _base32hex(raw: bytes) -> str:
    return base64.b32hexencode(raw).decode().rstrip("=").lower()

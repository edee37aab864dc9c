"""Hosts, their connections, and the links by which they connect. Pure: no clock, no store, no network."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from libs.contracts.events import Provider

FLOW_LIFETIME: Final = timedelta(minutes=10)
"""How long a host may take at the provider's pages."""

REFRESH_AHEAD: Final = timedelta(minutes=2)
"""An access token that ends within this time is refreshed before it is handed out."""


class State(StrEnum):
    """Of a connection, and of a host as a whole."""

    UNKNOWN = "unknown"
    INVITED = "invited"
    CONNECTED = "connected"
    RECONNECT_NEEDED = "reconnect-needed"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a grant is worth. Sealed wherever it rests."""

    refresh: str = field(repr=False)
    access: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Connection:
    """A host's grant at one provider. `account` is a keyed digest of who granted it.

    `made` is when it came to be, `since` how long it has been in its state; `version` grows with every write.
    """

    id: str
    host: str
    provider: Provider
    state: State
    made: datetime
    since: datetime
    version: int
    account: str | None = None
    expires_at: datetime | None = None
    sealed: bytes | None = field(default=None, repr=False)
    calendars: tuple[str, ...] = ("primary",)

    def expires_before(self, moment: datetime) -> bool:
        """Whether the access token is gone by then."""
        return self.expires_at is None or self.expires_at <= moment

    def with_tokens(self, sealed: bytes, expires_at: datetime, since: datetime | None = None) -> "Connection":
        """The next version, connected, with new tokens; `since` where it was not (or not so) connected before."""
        newer = replace(self, version=self.version + 1, state=State.CONNECTED, sealed=sealed, expires_at=expires_at)
        return replace(newer, since=since) if since else newer

    def without_grant(self, state: State, since: datetime) -> "Connection":
        """The next version, with no tokens. A disconnected account may be connected by anybody again."""
        account = None if state is State.DISCONNECTED else self.account
        return replace(
            self, version=self.version + 1, state=state, since=since, sealed=None, expires_at=None, account=account
        )


@dataclass(frozen=True, slots=True)
class Link:
    """An invitation for one host to connect, once. `provider` limits it to one."""

    id: str
    host: str
    provider: Provider | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Flow:
    """A journey through a provider's pages. `id` is a digest of `state`, `browser` one of the cookie."""

    id: str
    provider: Provider
    browser: str
    link: str
    host: str
    expires_at: datetime
    sealed: bytes = field(repr=False)


def new_connection_id() -> str:
    """`cn_` and 128 random bits in lower-case base32."""
    return "cn_" + _base32(secrets.token_bytes(16))


def new_link_id() -> str:
    """128 random bits in lower-case base32."""
    return _base32(secrets.token_bytes(16))


def new_secret() -> str:
    """256 random bits, for `state`, the cookie and the nonce."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is kept of a random secret that comes back later."""
    return hashlib.sha256(secret.encode()).hexdigest()


def account_digest(key: bytes, provider: Provider, identity: str) -> str:
    """What is kept of an account: recognisable by us alone."""
    return _base32(hmac.digest(key, f"{provider}\0{identity}".encode(), hashlib.sha256))


def sign(key: bytes, link: Link) -> str:
    """The token of a connect link: id, end (epoch seconds) and HMAC-SHA256."""
    claim = f"{link.id}.{int(link.expires_at.timestamp())}"
    return f"{claim}.{_signature(key, claim)}"


def verified(key: bytes, token: str) -> tuple[str, datetime] | None:
    """Id and end of a link whose signature is right; None otherwise. Compared in constant time, and read only after that."""
    claim, _, signature = token.rpartition(".")
    if not hmac.compare_digest(_signature(key, claim).encode(), signature.encode("utf-8", "replace")):
        return None
    link, _, end = claim.partition(".")
    return link, datetime.fromtimestamp(int(end), UTC)


def state_of(connections: Sequence[Connection]) -> State:
    """The state of a known host. One connection that does not work makes the whole host's time unknown."""
    active = [c.state for c in connections if c.state is not State.DISCONNECTED]
    if not active:
        return State.DISCONNECTED if connections else State.INVITED
    return State.RECONNECT_NEEDED if State.RECONNECT_NEEDED in active else State.CONNECTED


def written_to(connections: Sequence[Connection]) -> str | None:
    """The connection whose first calendar gets the bookings: the oldest, and only that one."""
    active = [c for c in connections if c.state is not State.DISCONNECTED]
    return min(active, key=lambda c: (c.made, c.id)).id if active else None


def _signature(key: bytes, claim: str) -> str:
    raw = hmac.digest(key, claim.encode("utf-8", "replace"), hashlib.sha256)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()

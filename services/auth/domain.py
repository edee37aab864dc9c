"""Hosts and their connections, and the flows by which they connect. Pure: no clock, no store, no network."""

import base64
import hashlib
import hmac
import secrets
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from libs.contracts.events import Provider
from libs.contracts.reasons import Reason

PROVIDERS: Final[tuple[Provider, ...]] = ("google", "microsoft")

FLOW_LIFETIME: Final = timedelta(minutes=10)
"""How long a host may take at the provider's pages."""

REFRESH_AHEAD: Final = timedelta(minutes=2)
"""An access token that ends within this time is refreshed before it is handed out."""

MOST_CONNECTIONS: Final = 20
"""How many connections in use a host may have."""

MOST_STEPS: Final = 100
"""How many steps of a connection's history are kept, the latest ones."""


class State(StrEnum):
    """Of a connection, and of a host as a whole. Only hosts are unknown or invited, only a connection is disconnecting."""

    UNKNOWN = "unknown"
    INVITED = "invited"
    CONNECTED = "connected"
    RECONNECT_NEEDED = "reconnect-needed"
    DISCONNECTING = "disconnecting"
    DISCONNECTED = "disconnected"


ACTIVE: Final = frozenset({State.CONNECTED, State.RECONNECT_NEEDED})
"""The states in which a host means the connection to be used."""


class Revocation(StrEnum):
    """What became of a grant at its provider when the host took it back."""

    REVOKED = "revoked"
    NOT_OFFERED = "not-offered"
    NOT_REACHED = "not-reached"
    NOTHING_LEFT = "nothing-left"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a grant is worth. Sealed wherever it rests."""

    refresh: str = field(repr=False)
    access: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a connection's history."""

    state: State
    at: datetime
    reason: Reason


@dataclass(frozen=True, slots=True)
class Connection:
    """A host's grant at one provider. `account` is a keyed digest of who granted it.

    `made` is when it came to be, `since` how long it has been in its state; `version` grows with every write. `proved_at` is
    when the provider last gave tokens for it. `revoked` is set once its end has been told to the provider.
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
    proved_at: datetime | None = None
    revoked: Revocation | None = None

    def expires_before(self, moment: datetime) -> bool:
        """Whether the access token is gone by then."""
        return self.expires_at is None or self.expires_at <= moment

    def with_tokens(self, sealed: bytes, expires_at: datetime, now: datetime) -> "Connection":
        """The next version, with tokens that the provider has just given."""
        return replace(self, version=self.version + 1, sealed=sealed, expires_at=expires_at, proved_at=now)

    def again(self, sealed: bytes, expires_at: datetime, now: datetime) -> "Connection":
        """The next version, connected anew."""
        return replace(self.with_tokens(sealed, expires_at, now), state=State.CONNECTED, since=now)

    def without_grant(self, state: State, now: datetime) -> "Connection":
        """The next version, with no tokens. A disconnected account may be connected by anybody again."""
        account = None if state is State.DISCONNECTED else self.account
        return replace(
            self, version=self.version + 1, state=state, since=now, sealed=None, expires_at=None, account=account
        )

    def leaving(self, sealed: bytes | None, now: datetime) -> "Connection":
        """The next version, on its way out: `sealed` serves to revoke, and for nothing else."""
        return replace(
            self, version=self.version + 1, state=State.DISCONNECTING, since=now, sealed=sealed, expires_at=None
        )

    def with_end_told(self, revoked: Revocation) -> "Connection":
        """The next version: what the provider said is known, so the tokens have no use any more."""
        return replace(self, version=self.version + 1, revoked=revoked, sealed=None)


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


def new_secret() -> str:
    """256 random bits, for `state`, the cookie and the nonce."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is kept of a random secret that comes back later."""
    return hashlib.sha256(secret.encode()).hexdigest()


def account_digest(key: bytes, provider: Provider, identity: str) -> str:
    """What is kept of an account: recognisable by us alone."""
    return _base32(hmac.digest(key, f"{provider}\0{identity}".encode(), hashlib.sha256))


def active(connections: Sequence[Connection]) -> list[Connection]:
    """Those that are meant to be used, the oldest first."""
    return sorted((c for c in connections if c.state in ACTIVE), key=lambda c: (c.made, c.id))


def by_host(connections: Sequence[Connection]) -> defaultdict[str, list[Connection]]:
    """The same, by whose they are."""
    owned: defaultdict[str, list[Connection]] = defaultdict(list)
    for connection in connections:
        owned[connection.host].append(connection)
    return owned


def state_of(connections: Sequence[Connection]) -> State:
    """The state of a known host. One connection that does not work makes the whole host's time unknown."""
    states = {c.state for c in active(connections)}
    if not states:
        return State.DISCONNECTED if connections else State.INVITED
    return State.RECONNECT_NEEDED if State.RECONNECT_NEEDED in states else State.CONNECTED


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()

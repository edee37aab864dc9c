"""Access tokens that work: refreshed before they end, by one replica at a time.

Single flight: a lease in the connection's document, taken only at the version that was read; the lease's id fences the
write, the version is compared and set. Whoever does not get the lease waits for the one who has it.
"""

import secrets
from datetime import datetime, timedelta
from typing import Final

from libs.contracts.reasons import Reason
from libs.crypto.errors import CryptoError, KeyringError
from libs.providers.errors import GrantDead, ProviderError
from libs.telemetry import metrics
from libs.telemetry.logs import logger
from services.auth.desk import Desk
from services.auth.domain import REFRESH_AHEAD, Connection, State, Tokens
from services.auth.outgoing import note_of
from services.auth.store import Lease

POLL: Final = 0.05
"""Seconds between two looks at a connection that another replica is refreshing."""

MARGIN: Final = 5.0
"""Seconds a lease lasts beyond the longest refresh."""


def usable(connection: Connection, desk: Desk, rejected: int | None = None) -> tuple[Connection, Tokens | None]:
    """The connection as it then stands, with tokens that work; None where there are none now.

    `rejected` is the version of a token the provider did not accept: that one is not given again. Raises StoreUnavailable.
    """
    ends = desk.clock() + timedelta(seconds=desk.patience)
    while connection.state is State.CONNECTED:
        if connection.version != rejected and not connection.expires_before(desk.clock() + REFRESH_AHEAD):
            return connection, _opened(connection, desk)
        lease = _leased(connection, desk)
        if lease is not None:
            return _refreshed(connection, lease, desk, rejected)
        if desk.clock() >= ends:
            return connection, _still_good(connection, desk, rejected)
        desk.sleep(POLL)
        connection = _read_again(connection, desk)
    return connection, None


def proved(connection: Connection, desk: Desk) -> Connection | None:
    """Refresh now, however long the token still has, to learn whether the grant lives.

    The connection as it then stands, unchanged if the provider could not tell; None if another replica has the lease, or had
    it since `connection` was read. Raises StoreUnavailable.
    """
    lease = _leased(connection, desk)
    return None if lease is None else _refreshed(connection, lease, desk, None)[0]


def _leased(connection: Connection, desk: Desk) -> Lease | None:
    lease = Lease(secrets.token_hex(16), desk.clock() + timedelta(seconds=desk.patience + MARGIN))
    taken = desk.store.lease(connection.id, connection.version, lease, desk.clock())
    return lease if taken else None


def _refreshed(
    connection: Connection, lease: Lease, desk: Desk, rejected: int | None
) -> tuple[Connection, Tokens | None]:
    outcome = "failed"
    try:
        tokens = _opened(connection, desk)
        if tokens is None:
            return _grant_dead(connection, lease, desk)
        fresh = desk.refreshing[connection.provider].refresh(tokens.refresh)
        outcome = "refreshed"
        return _kept(connection, Tokens(fresh.refresh or tokens.refresh, fresh.access, fresh.expires_at), lease, desk)
    except GrantDead:
        outcome = "grant-dead"
        return _grant_dead(connection, lease, desk)
    except ProviderError as error:
        outcome = "unavailable"
        logger().warning("token not refreshed", connection=connection.id, provider=connection.provider, why=error.label)
        desk.store.release(connection.id, lease.id)
        return connection, _still_good(connection, desk, rejected)
    finally:
        metrics.TOKEN_REFRESHES.labels(connection.provider, outcome).inc()


def _kept(connection: Connection, tokens: Tokens, lease: Lease, desk: Desk) -> tuple[Connection, Tokens | None]:
    sealed = desk.safe.seal_tokens(connection.id, connection.version + 1, tokens)
    newer = connection.with_tokens(sealed, tokens.expires_at, desk.clock())
    if desk.store.change(newer, connection.version, lease=lease.id):
        return newer, tokens
    standing = _read_again(connection, desk)  # the lease ran out, or the host connected again meanwhile
    return standing, _opened(standing, desk) if standing.state is State.CONNECTED else None


def _grant_dead(connection: Connection, lease: Lease, desk: Desk) -> tuple[Connection, Tokens | None]:
    """The provider refused our refresh token. If the vault holds another by now, that one counts."""
    dead = connection.without_grant(State.RECONNECT_NEEDED, desk.clock())
    note = note_of(dead, Reason.GRANT_DEAD)
    if desk.store.change(dead, connection.version, note, lease.id):
        desk.relay.send({dead.id: note.events})
        logger().warning("reconnect needed", connection=dead.id, provider=dead.provider, host=dead.host)
        return dead, None
    standing = _read_again(connection, desk)
    return standing, _opened(standing, desk) if standing.state is State.CONNECTED else None


def _still_good(connection: Connection, desk: Desk, rejected: int | None) -> Tokens | None:
    """The old token, for what is left of its life."""
    spent = connection.version == rejected or connection.expires_before(desk.clock())
    return None if spent else _opened(connection, desk)


def _opened(connection: Connection, desk: Desk) -> Tokens | None:
    try:
        return desk.safe.open_tokens(connection)
    except KeyringError:
        raise
    except CryptoError as error:
        metrics.SEAL_BROKEN.inc()
        logger().error("tokens do not open", connection=connection.id, error=type(error).__name__)
        return None


def _read_again(connection: Connection, desk: Desk) -> Connection:
    return desk.store.connection(connection.id) or connection.without_grant(State.DISCONNECTED, connection.since)


def due(connection: Connection, now: datetime) -> bool:
    """Whether a refresh is near."""
    return connection.state is State.CONNECTED and connection.expires_before(now + REFRESH_AHEAD)

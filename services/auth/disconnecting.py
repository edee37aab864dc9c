"""How a connection ends: out of use, revoked at the provider, its tokens' key destroyed, told.

Each step is written before the next begins, and each is safe to repeat. So whoever is killed leaves a connection that says
how far it came, and `resume` goes on from there.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from libs.contracts.events import HostId, Provider
from libs.contracts.reasons import Reason
from libs.crypto.errors import CryptoError, KeyringError
from libs.mongo.errors import StoreUnavailable
from libs.mongo.outbox import Pending
from libs.telemetry import metrics
from libs.telemetry.logs import logger
from services.auth import choices, domain
from services.auth.desk import Desk
from services.auth.domain import ACTIVE, Connection, Revocation, State, Tokens
from services.auth.outgoing import Note, calendars_changed, note_of
from services.auth.questions import CONNECTION, HOST, BadQuestion, checked

LEFT_ALONE: Final = timedelta(seconds=20)
"""How long whoever began has to finish before another goes on: longer than a revocation may take."""

BY_HAND: Final[dict[Provider, tuple[str, ...]]] = {
    "google": ("https://myaccount.google.com/connections",),
    "microsoft": ("https://myapps.microsoft.com", "https://account.live.com/consent/Manage"),
}
"""Where a person removes Valet's permission with their own hands. Microsoft has two places: for work or school, and personal."""


def disconnect(host: object, connection: object, desk: Desk) -> dict[str, Any]:
    """Take back one grant of a host, or all: revoked where the provider can, the tokens' keys destroyed.

    Per connection `revocation` says what the provider did, and `remove_at` where the host can see to the rest.
    Safe to repeat. Raises BadQuestion, StoreUnavailable.
    """
    name = checked(host, HostId, HOST)
    wanted = checked(connection, str | None, CONNECTION)
    return {"host": name, "connections": [told(gone) for gone in ended(name, wanted, desk)]}


def ended(host: str, wanted: str | None, desk: Desk) -> list[Connection]:
    """The connections as they stand after their end: the one wanted, or all that have not ended before.

    Raises BadQuestion, StoreUnavailable.
    """
    owned = desk.store.connections([host])
    chosen = [c for c in owned if (c.state is not State.DISCONNECTED if wanted is None else c.id == wanted)]
    if wanted is not None and not chosen:
        raise BadQuestion(CONNECTION)
    out_of_use = [_out_of_use(c, desk) if c.state in ACTIVE else c for c in chosen]
    return list(desk.together(lambda c: _brought_to_its_end(c, desk), out_of_use))


def resume(desk: Desk) -> int:
    """Finish what somebody began and left. How many that were. Raises StoreUnavailable."""
    left = desk.store.leaving(desk.clock() - LEFT_ALONE)
    return sum(desk.together(lambda c: _resumed(c, desk), left))


def told(connection: Connection) -> dict[str, Any]:
    """What became of a connection, for whoever asked for its end."""
    return {
        "connection": connection.id,
        "provider": connection.provider,
        "revoked": connection.revoked is Revocation.REVOKED,
        "revocation": (connection.revoked or Revocation.NOTHING_LEFT).value,
        "remove_at": list(by_hand(connection)),
    }


def by_hand(connection: Connection) -> tuple[str, ...]:
    """Where the host can remove what may be left at the provider; empty where it was revoked."""
    return () if connection.revoked is Revocation.REVOKED else BY_HAND[connection.provider]


def _resumed(connection: Connection, desk: Desk) -> bool:
    try:
        _brought_to_its_end(connection, desk)
    except (StoreUnavailable, KeyringError) as error:
        logger().warning("disconnecting not finished", connection=connection.id, error=type(error).__name__)
        return False
    return True


def _brought_to_its_end(connection: Connection, desk: Desk) -> Connection:
    while connection.state is not State.DISCONNECTED:
        connection = _one_step_on(connection, desk)
    return connection


def _one_step_on(connection: Connection, desk: Desk) -> Connection:
    if connection.state in ACTIVE:
        return _out_of_use(connection, desk)
    if connection.revoked is None:
        return _written(connection.with_end_told(_revoked(connection, desk)), None, desk)
    desk.safe.destroy(connection.id)
    gone = connection.without_grant(State.DISCONNECTED, desk.clock())
    note = note_of(gone, Reason.DISCONNECTED_BY_HOST, *_change_of_calendars(connection, gone, desk))
    metrics.CONNECTIONS_MADE.labels(gone.provider, "disconnected").inc()
    return _written(gone, note, desk)


def _out_of_use(connection: Connection, desk: Desk) -> Connection:
    """The first step: a line of the history, but no event; the one that counts comes at the end."""
    newer = connection.leaving(_sealed_anew(connection, desk), desk.clock())
    return _written(newer, replace(note_of(newer, Reason.DISCONNECTED_BY_HOST), events=()), desk)


def _written(newer: Connection, note: Note | None, desk: Desk) -> Connection:
    """The newer one, or what stands if somebody else wrote meanwhile."""
    if desk.store.change(newer, newer.version - 1, note):
        desk.relay.send({newer.id: note.events} if note and note.events else {})
        return newer
    return desk.store.connection(newer.id) or newer


def _sealed_anew(connection: Connection, desk: Desk) -> bytes | None:
    """The tokens, sealed for the next version."""
    tokens = _opened(connection, desk)
    return desk.safe.seal_tokens(connection.id, connection.version + 1, tokens) if tokens else None


def _revoked(connection: Connection, desk: Desk) -> Revocation:
    tokens = _opened(connection, desk)
    return desk.refreshing[connection.provider].revoke(tokens.refresh if tokens else None)


def _opened(connection: Connection, desk: Desk) -> Tokens | None:
    """None where there are none, or none that open: that must not keep a connection from ending."""
    try:
        return desk.safe.open_tokens(connection)
    except KeyringError:
        raise
    except CryptoError:
        return None


def _change_of_calendars(leaving: Connection, gone: Connection, desk: Desk) -> Sequence[Pending]:
    """The event that another calendar is written to now, if this connection's was."""
    rest = [c for c in desk.store.connections([gone.host]) if c.id != gone.id]
    before = [*rest, replace(leaving, state=State.CONNECTED)]
    chosen = desk.store.chosen([gone.host]).get(gone.host, choices.Chosen())
    was = choices.written(choices.standing(chosen, before))
    if was != gone.id or not domain.active(rest):
        return ()
    return (calendars_changed(gone.host, f"{gone.id}.{gone.version}", gone.since),)

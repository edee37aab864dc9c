"""One plain function per question that auth answers: invite a host, hand out access tokens, list, disconnect."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from libs.contracts.events import HostId, Provider
from libs.contracts.reasons import Reason
from libs.crypto.errors import CryptoError
from libs.mongo.errors import StoreUnavailable
from libs.telemetry import metrics
from libs.telemetry.logs import logger
from services.auth import domain
from services.auth.desk import Desk
from services.auth.domain import Connection, Link, State, Tokens
from services.auth.outgoing import event_of
from services.auth.tokens import due, usable

MOST_HOSTS = 1000
Given = tuple[Connection, Tokens | None, bool]


class BadQuestion(Exception):
    """An argument cannot be used. The text names it and what it must be, never its value."""


def connect_link(host: object, provider: object, desk: Desk) -> dict[str, Any]:
    """Invite a host: a signed link that works once, until `expires_at` (RFC 3339). Raises BadQuestion, StoreUnavailable."""
    known = _checked(host, HostId, "host: 1 to 64 of a-z 0-9 . _ -, starting with a letter or digit")
    wanted = _checked(provider, Provider | None, "provider: google, microsoft or nothing")
    ends = (desk.clock() + timedelta(seconds=desk.link_seconds)).replace(microsecond=0)
    link = Link(domain.new_link_id(), known, wanted, ends)
    desk.store.invite(known, link, desk.clock())
    return {"url": f"{desk.public_url}/connect/{domain.sign(desk.link_key, link)}", "expires_at": ends.isoformat()}


def access_tokens(hosts: object, rejected: object, desk: Desk) -> dict[str, Any]:
    """For each host its state, and its calendars with access tokens that work.

    The shape is `libs.contracts.questions.HostAccess`; each calendar also has the `version` of its token. `rejected` maps a
    connection to the version of a token that a provider did not accept. Where a token is missing, `why` says what is wrong:
    that calendar is unknown, and unknown is never free. Raises BadQuestion, StoreUnavailable.
    """
    names = _checked(hosts, list[HostId], "hosts: a list of host names")
    refused = _checked(rejected or {}, dict[str, int], "rejected: connection to version")
    if len(names) > MOST_HOSTS:
        raise BadQuestion(f"hosts: at most {MOST_HOSTS} at once")
    known = set(desk.store.hosts(names))
    owned = _by_host(desk.store.connections(names))
    given = _tokens([c for some in owned.values() for c in some], refused, desk)
    return {name: _answer(owned[name], given, desk) if name in known else _nothing(State.UNKNOWN) for name in names}


def hosts(desk: Desk) -> list[dict[str, Any]]:
    """Every known host and its connections, for operators. Nothing personal. Raises StoreUnavailable."""
    owned = _by_host(desk.store.connections())
    return [
        {
            "host": name,
            "state": domain.state_of(owned[name]).value,
            "connections": [_shown(c) for c in sorted(owned[name], key=lambda c: c.made)],
        }
        for name in desk.store.hosts()
    ]


def disconnect(host: object, desk: Desk) -> dict[str, Any]:
    """Take back the grants of a host and destroy the tokens' keys. Safe to repeat. Raises BadQuestion, StoreUnavailable."""
    name = _checked(host, HostId, "host: 1 to 64 of a-z 0-9 . _ -, starting with a letter or digit")
    active = [c for c in desk.store.connections([name]) if c.state is not State.DISCONNECTED]
    return {"host": name, "connections": [_disconnect(c, desk) for c in active]}


def _disconnect(connection: Connection, desk: Desk) -> dict[str, Any]:
    revoked = _revoke(connection, desk)
    desk.safe.destroy(connection.id)
    current: Connection | None = connection
    while current is not None and current.state is not State.DISCONNECTED:
        gone = current.without_grant(State.DISCONNECTED, desk.clock())
        event = event_of(gone, Reason.DISCONNECTED_BY_HOST, gone.since)
        if desk.store.change(gone, current.version, event):
            desk.relay.send({gone.id: [event]})
            break
        current = desk.store.connection(connection.id)
    metrics.CONNECTIONS_MADE.labels(connection.provider, "disconnected").inc()
    return {"connection": connection.id, "provider": connection.provider, "revoked": revoked}


def _revoke(connection: Connection, desk: Desk) -> bool:
    if connection.sealed is None:
        return False
    try:
        return desk.oauth[connection.provider].revoke(desk.safe.open_tokens(connection).refresh)
    except CryptoError:
        return False


def _tokens(connections: Sequence[Connection], refused: Mapping[str, int], desk: Desk) -> Mapping[str, Given]:
    """What each connection gives; those that need a refresh go to their providers side by side."""
    now = desk.clock()
    slow = [c for c in connections if due(c, now) or refused.get(c.id) == c.version]
    waiting = {c.id for c in slow}
    quick = [c for c in connections if c.id not in waiting]

    def give(connection: Connection) -> Given:
        try:
            return *usable(connection, desk, refused.get(connection.id)), True
        except StoreUnavailable as error:
            logger().warning("token not given", connection=connection.id, error=type(error).__name__)
            return connection, None, False

    done = [*desk.together(give, slow), *map(give, quick)]
    return {connection.id: (connection, tokens, fine) for connection, tokens, fine in done}


def _answer(connections: Sequence[Connection], given: Mapping[str, Given], desk: Desk) -> dict[str, Any]:
    current = [given[c.id][0] for c in connections]
    state = domain.state_of(current)
    if state not in (State.CONNECTED, State.RECONNECT_NEEDED):
        return _nothing(state)
    written = domain.written_to(current)
    active = [c for c in current if c.state is not State.DISCONNECTED]
    rows = [_row(c, name, given[c.id][1], written) for c in active for name in c.calendars]
    why = "reconnect-needed" if state is State.RECONNECT_NEEDED else None
    if why is None and any(row["token"] is None for row in rows):
        why = "provider-unavailable" if all(given[c.id][2] for c in active) else "store-unavailable"
    return {"state": state.value, "calendars": rows, "why": why}


def _row(connection: Connection, calendar: str, tokens: Tokens | None, written: str | None) -> dict[str, Any]:
    return {
        "connection": connection.id,
        "provider": connection.provider,
        "calendar": calendar,
        "token": tokens.access if tokens else None,
        "expires_at": int(tokens.expires_at.timestamp()) if tokens else 0,
        "version": connection.version,
        "checked": True,
        "written": connection.id == written and calendar == connection.calendars[0],
    }


def _nothing(state: State) -> dict[str, Any]:
    return {"state": state.value, "calendars": [], "why": None}


def _shown(connection: Connection) -> dict[str, Any]:
    return {
        "connection": connection.id,
        "provider": connection.provider,
        "calendars": len(connection.calendars),
        "state": connection.state.value,
        "since": connection.since.isoformat(),
    }


def _by_host(connections: Sequence[Connection]) -> defaultdict[str, list[Connection]]:
    owned: defaultdict[str, list[Connection]] = defaultdict(list)
    for connection in connections:
        owned[connection.host].append(connection)
    return owned


def _checked(value: object, kind: Any, must: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        raise BadQuestion(must) from None

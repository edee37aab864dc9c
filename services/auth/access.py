"""What a host's calendars can be reached with: the answer to `auth.access_tokens`."""

from collections.abc import Mapping, Sequence, Set
from typing import Any

from libs.contracts.events import HostId, Provider
from libs.contracts.reasons import Reason
from libs.crypto.errors import KeyringError
from libs.mongo.errors import StoreUnavailable
from libs.telemetry.logs import logger
from services.auth import choices, domain
from services.auth.choices import Choice, Chosen
from services.auth.desk import Desk
from services.auth.domain import ACTIVE, Connection, State, Tokens
from services.auth.questions import BadQuestion, checked
from services.auth.tokens import due, usable

MOST_HOSTS = 1000
Given = tuple[Connection, Tokens | None, bool]


def access_tokens(hosts: object, rejected: object, desk: Desk) -> dict[str, Any]:
    """For each host its state, and its calendars with access tokens that work.

    The shape is `libs.contracts.questions.HostAccess`; each calendar also has the `version` of its token. `rejected` maps a
    connection to the version of a token that a provider did not accept. Where a token is missing, `why` says what is wrong:
    that calendar is unknown, and unknown is never free. Raises BadQuestion, StoreUnavailable.
    """
    names = checked(hosts, list[HostId], "hosts: a list of host names")
    refused = checked(rejected or {}, dict[str, int], "rejected: connection to version")
    if len(names) > MOST_HOSTS:
        raise BadQuestion(f"hosts: at most {MOST_HOSTS} at once")
    known, owned = desk.store.chosen(names), domain.by_host(desk.store.connections(names))
    used = {name: choices.standing(chosen, owned[name]) for name, chosen in known.items()}
    wanted = {choice.connection for some in used.values() for choice in _in_use(some)}
    off = desk.switchboard.off()
    given = _tokens([c for name in known for c in owned[name] if c.id in wanted], refused, off, desk)
    return {
        name: _answer(owned[name], known[name], given, off) if name in known else _nothing(State.UNKNOWN)
        for name in names
    }


def _tokens(
    asked: Sequence[Connection], refused: Mapping[str, int], off: Set[Provider], desk: Desk
) -> Mapping[str, Given]:
    """What each connection gives; those that need a refresh go to their providers side by side. One whose provider is switched
    off gives nothing, also if its token is still good."""
    now = desk.clock()
    connections = [c for c in asked if c.provider not in off]
    slow = [c for c in connections if due(c, now) or refused.get(c.id) == c.version]
    waiting = {c.id for c in slow}
    quick = [c for c in connections if c.id not in waiting]

    def give(connection: Connection) -> Given:
        try:
            return *usable(connection, desk, refused.get(connection.id)), True
        except (StoreUnavailable, KeyringError) as error:
            logger().warning("token not given", connection=connection.id, error=type(error).__name__)
            return connection, None, False

    done = [*desk.together(give, slow), *map(give, quick)]
    return {connection.id: (connection, tokens, fine) for connection, tokens, fine in done}


def _answer(
    connections: Sequence[Connection], chosen: Chosen, given: Mapping[str, Given], off: Set[Provider]
) -> dict[str, Any]:
    """A connection none of whose calendars is in use does not count: a host may leave a dead one out."""
    current = {c.id: given.get(c.id, (c, None, True)) for c in connections}
    states = [connection for connection, *_ in current.values()]
    used = _in_use(choices.standing(chosen, states))
    needed = [current[id] for id in dict.fromkeys(choice.connection for choice in used)]
    state = domain.state_of([connection for connection, *_ in needed] or states)
    if state not in ACTIVE:
        return _nothing(state)
    rows = [_row(choice, current[choice.connection], off) for choice in used]
    return {"state": state.value, "calendars": rows, "why": _why(state, needed, off)}


def _why(state: State, given: Sequence[Given], off: Set[Provider]) -> str | None:
    if state is State.RECONNECT_NEEDED:
        return "reconnect-needed"
    if any(connection.provider in off for connection, *_ in given):
        return Reason.PROVIDER_SWITCHED_OFF.value
    if all(tokens for _, tokens, _ in given):
        return None
    return "provider-unavailable" if all(fine for *_, fine in given) else "store-unavailable"


def _in_use(standing: Sequence[Choice]) -> list[Choice]:
    return [choice for choice in standing if choice.checked or choice.written]


def _row(choice: Choice, given: Given, off: Set[Provider]) -> dict[str, Any]:
    connection, tokens, _ = given
    return {
        "connection": connection.id,
        "provider": connection.provider,
        "calendar": choice.calendar,
        "token": tokens.access if tokens else None,
        "expires_at": int(tokens.expires_at.timestamp()) if tokens else 0,
        "version": connection.version,
        "checked": choice.checked,
        "written": choice.written,
        "switched_off": connection.provider in off,
    }


def _nothing(state: State) -> dict[str, Any]:
    return {"state": state.value, "calendars": [], "why": None}

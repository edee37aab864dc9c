"""What auth answers: one plain function per question. The longer ones have a module of their own."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from libs.contracts.events import HostId, Provider
from services.auth import choices, domain
from services.auth.access import access_tokens
from services.auth.calendars import calendars, set_calendars
from services.auth.choices import Choice, Chosen
from services.auth.desk import Desk
from services.auth.disconnecting import disconnect
from services.auth.domain import Connection, State
from services.auth.invitations import connect_link, disconnect_link
from services.auth.questions import HOST, BadQuestion, checked
from services.auth.switching import providers, switch_provider

__all__ = [
    "BadQuestion",
    "access_tokens",
    "calendars",
    "connect_link",
    "connections",
    "disconnect",
    "disconnect_link",
    "history",
    "hosts",
    "list_hosts",
    "providers",
    "set_calendars",
    "switch_provider",
]


ASKED: Final = (
    "host: a host's name; provider: google or microsoft; state: invited, connected, reconnect-needed or disconnected; "
    "after: a host's name; most: 1 to 1000; all may be missing"
)


class _Asked(Struct, frozen=True, forbid_unknown_fields=True):
    host: HostId | None = None
    provider: Provider | None = None
    state: Literal["invited", "connected", "reconnect-needed", "disconnected"] | None = None
    after: Annotated[str, Meta(max_length=64)] = ""
    most: Annotated[int, Meta(ge=1, le=1000)] = 100


def hosts(desk: Desk) -> list[dict[str, Any]]:
    """Every known host and its connections, for operators. Nothing personal. Raises StoreUnavailable."""
    owned = domain.by_host(desk.store.connections())
    return [_host(name, chosen, owned[name]) for name, chosen in desk.store.chosen().items()]


def list_hosts(asked: Mapping[str, object], desk: Desk) -> dict[str, Any]:
    """A page of `hosts`, by name: {hosts, more}, `more` being how many are left. All of `asked` may be missing:

    `host`: only this one; `provider`, `state`: who has a connection of that provider that is not over, or is in that state
    as a whole; `after`: behind this name; `most`: so many (1 to 1000). Raises BadQuestion, StoreUnavailable.
    """
    want = checked(asked, _Asked, ASKED)
    names = None if want.host is None else [want.host]
    owned = domain.by_host(desk.store.connections(names))
    known = desk.store.chosen(names)
    found = [name for name in sorted(known) if name > want.after and _is_wanted(owned[name], want)]
    page = found[: want.most]
    return {"hosts": [_host(name, known[name], owned[name]) for name in page], "more": len(found) - len(page)}


def _is_wanted(connections: Sequence[Connection], want: "_Asked") -> bool:
    providers = {c.provider for c in connections if c.state is not State.DISCONNECTED}
    state = domain.state_of(connections).value
    return want.provider in (None, *providers) and want.state in (None, state)


def connections(desk: Desk) -> list[dict[str, Any]]:
    """How many connections in use each provider has, by state, and when (RFC 3339) the grant proved longest ago was proved.

    Raises StoreUnavailable.
    """
    return [
        {
            "provider": count.provider,
            "state": count.state.value,
            "count": count.number,
            "oldest_proof": count.oldest.isoformat() if count.oldest else None,
        }
        for count in sorted(desk.store.census(), key=lambda count: (count.provider, count.state))
    ]


def history(host: object, desk: Desk) -> dict[str, list[dict[str, Any]]]:
    """Per connection of a host the latest steps of its life, oldest first: state, when (RFC 3339), why.

    Raises BadQuestion, StoreUnavailable.
    """
    name = checked(host, HostId, HOST)
    return {
        connection: [
            {"state": step.state.value, "at": step.at.isoformat(), "reason": step.reason.value} for step in steps
        ]
        for connection, steps in desk.store.history(name).items()
    }


def _host(name: str, chosen: Chosen, connections: Sequence[Connection]) -> dict[str, Any]:
    standing = choices.standing(chosen, connections)
    shown = [_connection(c, standing) for c in sorted(connections, key=lambda c: c.made)]
    return {"host": name, "state": domain.state_of(connections).value, "connections": shown}


def _connection(connection: Connection, standing: Sequence[Choice]) -> dict[str, Any]:
    own = [choice for choice in standing if choice.connection == connection.id]
    return {
        "connection": connection.id,
        "provider": connection.provider,
        "state": connection.state.value,
        "since": connection.since.isoformat(),
        "proved_at": connection.proved_at.isoformat() if connection.proved_at else None,
        "calendars": [{"calendar": c.calendar, "checked": c.checked, "written": c.written} for c in own],
    }

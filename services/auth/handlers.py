"""What auth answers: one plain function per question. The longer ones have a module of their own."""

from collections.abc import Sequence
from typing import Any

from libs.contracts.events import HostId
from services.auth import choices, domain
from services.auth.access import access_tokens
from services.auth.calendars import calendars, set_calendars
from services.auth.choices import Choice, Chosen
from services.auth.desk import Desk
from services.auth.disconnecting import disconnect
from services.auth.domain import Connection
from services.auth.invitations import connect_link, disconnect_link
from services.auth.questions import HOST, BadQuestion, checked

__all__ = [
    "BadQuestion",
    "access_tokens",
    "calendars",
    "connect_link",
    "disconnect",
    "disconnect_link",
    "history",
    "hosts",
    "set_calendars",
]


def hosts(desk: Desk) -> list[dict[str, Any]]:
    """Every known host and its connections, for operators. Nothing personal. Raises StoreUnavailable."""
    owned = domain.by_host(desk.store.connections())
    return [_host(name, chosen, owned[name]) for name, chosen in desk.store.chosen().items()]


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

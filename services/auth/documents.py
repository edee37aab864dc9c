"""How connections and hosts stand in MongoDB's documents."""

from typing import Any, Final

from bson import Binary

from libs.contracts.reasons import Reason
from libs.mongo.client import Document
from services.auth.choices import Choice, Chosen
from services.auth.domain import Connection, Revocation, State, Step

LEFT_OUT: Final[Document] = {"outbox": 0, "history": 0}
"""What reading a connection leaves out: it grows, and only the relay and `history` need it."""

OPTIONAL: Final = ("account", "expires_at", "sealed", "proved_at", "revoked")


def fields_of(connection: Connection) -> Document:
    """What is stored of a connection; fields without a value are left out."""
    names = ("host", "provider", "made", "since", "version", "account", "expires_at", "proved_at", "revoked", "state")
    document: Document = {name: getattr(connection, name) for name in names}
    document["sealed"] = Binary(connection.sealed) if connection.sealed else None
    return {name: value for name, value in document.items() if value is not None}


def connection_of(document: Document) -> Connection:
    """The connection that was stored."""
    plain: dict[str, Any] = {name: document[name] for name in ("host", "provider", "made", "since", "version")}
    return Connection(
        id=document["_id"],
        state=State(document["state"]),
        account=document.get("account"),
        expires_at=document.get("expires_at"),
        sealed=bytes(document["sealed"]) if "sealed" in document else None,
        proved_at=document.get("proved_at"),
        revoked=Revocation(document["revoked"]) if "revoked" in document else None,
        **plain,
    )


def chosen_of(document: Document) -> Chosen:
    """What a host chose, from its document."""
    choices = tuple(Choice(**choice) for choice in document.get("choices", ()))
    return Chosen(document.get("version", 0), choices, tuple(document.get("decided", ())))


def step_of(document: Document) -> Step:
    """A line of the history."""
    return Step(State(document["state"]), document["at"], Reason(document["reason"]))

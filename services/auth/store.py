"""Where hosts, links, flows and connections are kept: the port, and MongoDB behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from bson import Binary
from pymongo import ASCENDING
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from libs.contracts.events import Provider
from libs.mongo.client import Document
from libs.mongo.guard import guarded
from libs.mongo.outbox import Pending, as_document
from services.auth.domain import Connection, Flow, Link, State


class AccountTaken(Exception):
    """Another connection has this account already."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to refresh one connection, until `until`. The id fences: whoever lost the lease cannot write."""

    id: str
    until: datetime


class AuthStore(Protocol):
    """What the handlers need. Every method raises StoreUnavailable if the store does not answer in time."""

    def invite(self, host: str, link: Link, now: datetime) -> None:
        """Make the host known, and keep the link."""
        ...

    def hosts(self, among: Sequence[str] | None = None) -> Sequence[str]:
        """The known hosts; of these only, or all."""
        ...

    def link(self, id: str) -> Link | None: ...

    def consume_link(self, id: str) -> bool:
        """Take the link away; false if somebody did before."""
        ...

    def add_flow(self, flow: Flow) -> None: ...

    def take_flow(self, id: str, provider: Provider, browser: str) -> Flow | None:
        """The flow, taken out for good. Only with the right provider and browser is it found at all."""
        ...

    def connections(self, hosts: Sequence[str] | None = None) -> Sequence[Connection]: ...

    def connection(self, id: str) -> Connection | None: ...

    def by_account(self, account: str) -> Connection | None: ...

    def insert(self, connection: Connection, event: Pending) -> None:
        """Raises AccountTaken."""
        ...

    def change(self, connection: Connection, was: int, event: Pending | None = None, lease: str | None = None) -> bool:
        """Write it if its version has not moved on and, if given, the lease is still ours. It ends the lease."""
        ...

    def lease(self, id: str, version: int, lease: Lease, now: datetime) -> bool:
        """Take the lease if the version is still this one and nobody holds it."""
        ...

    def release(self, id: str, lease: str) -> None: ...


class MongoAuthStore:
    """One document per connection, its outbox and its refresh lease inside."""

    def __init__(self, database: Database[Document]) -> None:
        self._hosts = database["hosts"]
        self._links = database["links"]
        self._flows = database["flows"]
        self.documents = database["connections"]

    def ensure_indexes(self) -> None:
        """The indexes that the promises rest on. Idempotent."""
        with guarded():
            self._links.create_index("expires_at", name="ttl", expireAfterSeconds=0)
            self._flows.create_index("expires_at", name="ttl", expireAfterSeconds=0)
            self.documents.create_index([("host", ASCENDING)], name="host")
            self.documents.create_index("account", name="account", unique=True, sparse=True)

    def invite(self, host: str, link: Link, now: datetime) -> None:
        with guarded():
            self._hosts.update_one({"_id": host}, {"$setOnInsert": {"since": now}}, upsert=True)
            self._links.insert_one(
                {"_id": link.id, "host": host, "provider": link.provider, "expires_at": link.expires_at}
            )

    def hosts(self, among: Sequence[str] | None = None) -> Sequence[str]:
        wanted: Document = {} if among is None else {"_id": {"$in": list(among)}}
        with guarded():
            return [document["_id"] for document in self._hosts.find(wanted, {"_id": 1}).sort("_id", 1)]

    def link(self, id: str) -> Link | None:
        with guarded():
            found = self._links.find_one({"_id": id})
        return Link(found["_id"], found["host"], found["provider"], found["expires_at"]) if found else None

    def consume_link(self, id: str) -> bool:
        with guarded():
            return self._links.delete_one({"_id": id}).deleted_count == 1

    def add_flow(self, flow: Flow) -> None:
        document = {name: getattr(flow, name) for name in ("provider", "browser", "link", "host", "expires_at")}
        with guarded():
            self._flows.insert_one({"_id": flow.id, **document, "sealed": Binary(flow.sealed)})

    def take_flow(self, id: str, provider: Provider, browser: str) -> Flow | None:
        with guarded():
            found = self._flows.find_one_and_delete({"_id": id, "provider": provider, "browser": browser})
        if found is None:
            return None
        names = ("provider", "browser", "link", "host", "expires_at")
        return Flow(id=id, sealed=bytes(found["sealed"]), **{name: found[name] for name in names})

    def connections(self, hosts: Sequence[str] | None = None) -> Sequence[Connection]:
        wanted: Document = {} if hosts is None else {"host": {"$in": list(hosts)}}
        with guarded():
            return [_connection(document) for document in self.documents.find(wanted, {"outbox": 0})]

    def connection(self, id: str) -> Connection | None:
        with guarded():
            found = self.documents.find_one({"_id": id}, {"outbox": 0})
        return _connection(found) if found else None

    def by_account(self, account: str) -> Connection | None:
        with guarded():
            found = self.documents.find_one({"account": account}, {"outbox": 0})
        return _connection(found) if found else None

    def insert(self, connection: Connection, event: Pending) -> None:
        with guarded():
            try:
                self.documents.insert_one({"_id": connection.id, **_fields(connection), "outbox": [as_document(event)]})
            except DuplicateKeyError:
                standing = self.connection(connection.id)  # after a failover what is in the way may be our own write
                if standing is None or standing.account != connection.account:
                    raise AccountTaken from None

    def change(self, connection: Connection, was: int, event: Pending | None = None, lease: str | None = None) -> bool:
        wanted: Document = {"_id": connection.id, "version": was}
        if lease is not None:
            wanted["lease.id"] = lease
        keep = _fields(connection)
        gone = {name: "" for name in ("account", "expires_at", "sealed") if name not in keep} | {"lease": ""}
        update: Document = {"$set": keep, "$unset": gone}
        if event is not None:
            update["$push"] = {"outbox": as_document(event)}
        with guarded():
            return self.documents.update_one(wanted, update).matched_count == 1

    def lease(self, id: str, version: int, lease: Lease, now: datetime) -> bool:
        free: list[Document] = [{"lease": {"$exists": False}}, {"lease.until": {"$lt": now}}]
        with guarded():
            result = self.documents.update_one(
                {"_id": id, "version": version, "$or": free},
                {"$set": {"lease": {"id": lease.id, "until": lease.until}}},
            )
        return result.matched_count == 1

    def release(self, id: str, lease: str) -> None:
        with guarded():
            self.documents.update_one({"_id": id, "lease.id": lease}, {"$unset": {"lease": ""}})


def _fields(connection: Connection) -> Document:
    names = ("host", "provider", "made", "since", "version", "account", "expires_at")
    document: Document = {name: getattr(connection, name) for name in names}
    document |= {"state": connection.state.value, "calendars": list(connection.calendars)}
    document["sealed"] = Binary(connection.sealed) if connection.sealed else None
    return {name: value for name, value in document.items() if value is not None}


def _connection(document: Document) -> Connection:
    plain: dict[str, Any] = {name: document[name] for name in ("host", "provider", "made", "since", "version")}
    return Connection(
        id=document["_id"],
        state=State(document["state"]),
        account=document.get("account"),
        expires_at=document.get("expires_at"),
        sealed=bytes(document["sealed"]) if "sealed" in document else None,
        calendars=tuple(document["calendars"]),
        **plain,
    )

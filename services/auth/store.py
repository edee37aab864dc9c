"""Where hosts, links, flows and connections are kept: the port, and MongoDB behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Protocol

from bson import Binary
from pymongo import ASCENDING
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from libs.contracts.events import Provider
from libs.mongo.client import Document
from libs.mongo.guard import guarded
from libs.mongo.outbox import Pending, as_document
from services.auth.choices import Chosen
from services.auth.documents import LEFT_OUT, OPTIONAL, chosen_of, connection_of, fields_of, step_of
from services.auth.domain import ACTIVE, MOST_STEPS, Connection, Flow, State, Step
from services.auth.links import Link
from services.auth.outgoing import Note


class AccountTaken(Exception):
    """Another connection has this account already."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to refresh one connection, until `until`. The id fences: whoever lost the lease cannot write."""

    id: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Count:
    """How many connections of a provider are in a state, and when the one whose grant was proved longest ago was proved."""

    provider: Provider
    state: State
    number: int
    oldest: datetime | None


class AuthStore(Protocol):
    """What the handlers need. Every method raises StoreUnavailable if the store does not answer in time."""

    def invite(self, host: str, now: datetime) -> None:
        """Make the host known."""
        ...

    def chosen(self, hosts: Sequence[str] | None = None) -> Mapping[str, Chosen]:
        """What the known hosts chose, by name; of these only, or of all."""
        ...

    def choose(self, host: str, chosen: Chosen, event: Pending) -> bool:
        """Write a host's choice if its version is the next one."""
        ...

    def add_link(self, link: Link) -> None: ...

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

    def history(self, host: str) -> Mapping[str, Sequence[Step]]:
        """The latest steps of each of the host's connections, oldest first."""
        ...

    def insert(self, connection: Connection, note: Note) -> None:
        """Raises AccountTaken."""
        ...

    def change(self, connection: Connection, was: int, note: Note | None = None, lease: str | None = None) -> bool:
        """Write it if its version has not moved on and, if given, the lease is still ours. It ends the lease."""
        ...

    def lease(self, id: str, version: int, lease: Lease, now: datetime) -> bool:
        """Take the lease if the version is still this one and nobody holds it."""
        ...

    def release(self, id: str, lease: str) -> None: ...

    def unproved(
        self, providers: Sequence[Provider], since: datetime, untried: datetime, most: int
    ) -> Sequence[Connection]:
        """Connected ones not proved since then, and not leased since `untried`; the longest unproved first."""
        ...

    def leaving(self, since: datetime) -> Sequence[Connection]:
        """Those that have been disconnecting since before then."""
        ...

    def census(self) -> Sequence[Count]:
        """The active connections, counted."""
        ...


class MongoAuthStore:
    """One document per connection, its history, its outbox and its refresh lease inside. A host's choice stands with the host."""

    def __init__(self, database: Database[Document]) -> None:
        self.hosts = database["hosts"]
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
            proofs = [("state", ASCENDING), ("provider", ASCENDING), ("proved_at", ASCENDING)]  # covers `census` too
            self.documents.create_index(proofs, name="proofs")

    def invite(self, host: str, now: datetime) -> None:
        with guarded():
            self.hosts.update_one({"_id": host}, {"$setOnInsert": {"since": now}}, upsert=True)

    def chosen(self, hosts: Sequence[str] | None = None) -> Mapping[str, Chosen]:
        wanted: Document = {} if hosts is None else {"_id": {"$in": list(hosts)}}
        with guarded():
            return {found["_id"]: chosen_of(found) for found in self.hosts.find(wanted, {"outbox": 0}).sort("_id", 1)}

    def choose(self, host: str, chosen: Chosen, event: Pending) -> bool:
        was = chosen.version - 1
        standing: Document = {"version": was} if was else {"version": {"$exists": False}}
        choices = [asdict(choice) for choice in chosen.choices]
        keep = {"version": chosen.version, "choices": choices, "decided": list(chosen.decided)}
        with guarded():
            done = self.hosts.update_one(
                {"_id": host, **standing}, {"$set": keep, "$push": {"outbox": as_document(event)}}
            )
        return done.matched_count == 1

    def add_link(self, link: Link) -> None:
        document = {"_id": link.id, "host": link.host, "provider": link.provider, "expires_at": link.expires_at}
        with guarded():
            self._links.insert_one(document)

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
            return [connection_of(document) for document in self.documents.find(wanted, LEFT_OUT)]

    def connection(self, id: str) -> Connection | None:
        with guarded():
            found = self.documents.find_one({"_id": id}, LEFT_OUT)
        return connection_of(found) if found else None

    def by_account(self, account: str) -> Connection | None:
        with guarded():
            found = self.documents.find_one({"account": account}, LEFT_OUT)
        return connection_of(found) if found else None

    def history(self, host: str) -> Mapping[str, Sequence[Step]]:
        with guarded():
            return {
                found["_id"]: [step_of(step) for step in found.get("history", ())]
                for found in self.documents.find({"host": host}, {"history": 1}).sort("made", 1)
            }

    def insert(self, connection: Connection, note: Note) -> None:
        document = {"_id": connection.id, **fields_of(connection), "history": [asdict(note.step)]}
        with guarded():
            try:
                self.documents.insert_one({**document, "outbox": [as_document(event) for event in note.events]})
            except DuplicateKeyError:
                standing = self.connection(connection.id)  # after a failover what is in the way may be our own write
                if standing is None or standing.account != connection.account:
                    raise AccountTaken from None

    def change(self, connection: Connection, was: int, note: Note | None = None, lease: str | None = None) -> bool:
        wanted: Document = {"_id": connection.id, "version": was}
        if lease is not None:
            wanted["lease.id"] = lease
        keep = fields_of(connection)
        gone = {name: "" for name in OPTIONAL if name not in keep} | {"lease": ""}
        update: Document = {"$set": keep, "$unset": gone}
        if note is not None:
            outbox = {"$each": [as_document(event) for event in note.events]}
            update["$push"] = {"outbox": outbox, "history": {"$each": [asdict(note.step)], "$slice": -MOST_STEPS}}
        with guarded():
            return self.documents.update_one(wanted, update).matched_count == 1

    def lease(self, id: str, version: int, lease: Lease, now: datetime) -> bool:
        free: list[Document] = [{"lease": {"$exists": False}}, {"lease.until": {"$lt": now}}]
        with guarded():
            result = self.documents.update_one(
                {"_id": id, "version": version, "$or": free},
                {"$set": {"lease": {"id": lease.id, "until": lease.until}, "tried_at": now}},
            )
        return result.matched_count == 1

    def release(self, id: str, lease: str) -> None:
        with guarded():
            self.documents.update_one({"_id": id, "lease.id": lease}, {"$unset": {"lease": ""}})

    def unproved(
        self, providers: Sequence[Provider], since: datetime, untried: datetime, most: int
    ) -> Sequence[Connection]:
        wanted = {
            "state": State.CONNECTED.value,
            "provider": {"$in": list(providers)},
            "proved_at": {"$lt": since},
            "$nor": [{"tried_at": {"$gte": untried}}],
        }
        with guarded():
            found = self.documents.find(wanted, LEFT_OUT).sort("proved_at", ASCENDING).limit(most)
            return [connection_of(document) for document in found]

    def leaving(self, since: datetime) -> Sequence[Connection]:
        wanted = {"state": State.DISCONNECTING.value, "since": {"$lt": since}}
        with guarded():
            return [connection_of(document) for document in self.documents.find(wanted, LEFT_OUT)]

    def census(self) -> Sequence[Count]:
        group = {"_id": ["$provider", "$state"], "number": {"$sum": 1}, "oldest": {"$min": "$proved_at"}}
        stages: list[Document] = [{"$match": {"state": {"$in": sorted(ACTIVE)}}}, {"$group": group}]
        with guarded():
            rows = list(self.documents.aggregate(stages))
        return [Count(row["_id"][0], State(row["_id"][1]), row["number"], row["oldest"]) for row in rows]

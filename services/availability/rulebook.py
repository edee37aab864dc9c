"""Where hosts' rules are kept, each with the event that tells of its last change: the port, and MongoDB behind it."""

from collections.abc import Collection, Mapping
from typing import Protocol

import msgspec
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from libs.contracts.questions import HostRules, StandingRules
from libs.mongo.client import Document
from libs.mongo.guard import guarded
from libs.mongo.outbox import Pending, as_document


class RuleBook(Protocol):
    """What the handlers need. Every method raises StoreUnavailable if the store does not answer in time."""

    def get(self, hosts: Collection[str]) -> Mapping[str, StandingRules]:
        """The rules of each host: in version 0, and open at all hours, where none were ever set."""
        ...

    def put(self, rules: StandingRules, event: Pending) -> bool:
        """Write rules and event in one go, if the version before this one stands there. False if another came first."""
        ...


class MongoRuleBook:
    """One document per host, its outbox inside."""

    def __init__(self, database: Database[Document]) -> None:
        self.documents = database["rules"]

    def get(self, hosts: Collection[str]) -> Mapping[str, StandingRules]:
        with guarded():
            found = list(self.documents.find({"_id": {"$in": list(hosts)}}, {"outbox": 0}))
        return {host: unset(host) for host in hosts} | {document["_id"]: _rules(document) for document in found}

    def put(self, rules: StandingRules, event: Pending) -> bool:
        kept = {"version": rules.version, "rules": msgspec.to_builtins(rules.rules)}
        with guarded():
            try:
                # In version 1 nothing stands there yet; where something does, its id is in the way.
                result = self.documents.update_one(
                    {"_id": rules.host, "version": rules.version - 1},
                    {"$set": kept, "$push": {"outbox": as_document(event)}},
                    upsert=rules.version == 1,
                )
            except DuplicateKeyError:
                return False
        return bool(result.matched_count or result.upserted_id)


def unset(host: str) -> StandingRules:
    """What holds for a host of whom nothing was said."""
    return StandingRules(host=host, version=0, rules=HostRules())


def _rules(document: Document) -> StandingRules:
    return StandingRules(
        host=document["_id"], version=document["version"], rules=msgspec.convert(document["rules"], HostRules)
    )

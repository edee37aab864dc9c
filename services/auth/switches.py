"""Where the switches of the providers stand: the port, and MongoDB behind it. A provider without a document is on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Protocol

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from libs.contracts.events import Provider
from libs.mongo.client import Document
from libs.mongo.guard import guarded
from libs.mongo.outbox import Pending, as_document


@dataclass(frozen=True, slots=True)
class Switch:
    """Whether a provider is used, since when, and why, in an operator's words. `version` grows with every change."""

    provider: Provider
    on: bool
    version: int
    since: datetime
    why: str | None = None


class SwitchBook(Protocol):
    """What the use cases need. Every method raises StoreUnavailable if the store does not answer in time."""

    def standing(self) -> Sequence[Switch]:
        """Every switch that was ever touched, by provider."""
        ...

    def put(self, switch: Switch, event: Pending) -> bool:
        """Write it, with the event that tells of it, if its version is the next one."""
        ...


class MongoSwitchBook:
    """One document per provider, its outbox inside."""

    def __init__(self, database: Database[Document]) -> None:
        self.documents = database["providers"]

    def standing(self) -> Sequence[Switch]:
        with guarded():
            return [_switch_of(found) for found in self.documents.find({}, {"outbox": 0}).sort("_id", 1)]

    def put(self, switch: Switch, event: Pending) -> bool:
        keep = {name: value for name, value in asdict(switch).items() if name != "provider"}
        with guarded():
            if switch.version > 1:
                change: Document = {"$set": keep, "$push": {"outbox": as_document(event)}}
                was = {"_id": switch.provider, "version": switch.version - 1}
                return self.documents.update_one(was, change).matched_count == 1
            try:
                self.documents.insert_one({"_id": switch.provider, **keep, "outbox": [as_document(event)]})
            except DuplicateKeyError:
                return False
        return True


def _switch_of(document: Document) -> Switch:
    return Switch(document["_id"], document["on"], document["version"], document["since"], document.get("why"))

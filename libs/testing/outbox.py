"""The outbox and the relay, in memory."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from libs.mongo.outbox import Pending
from libs.testing.outage import Outage


class MemoryOutbox(Outage):
    """The port `libs.messaging.relay.Outbox`: events stay until they are cleared."""

    def __init__(self, name: str = "documents") -> None:
        super().__init__()
        self.name = name
        self._entries: dict[str, list[Pending]] = {}

    def put(self, document: str, event: Pending) -> None:
        """What a store's write does: add the event to a document's outbox."""
        self._entries.setdefault(document, []).append(event)

    def of(self, document: str) -> Sequence[Pending]:
        """What waits in a document's outbox."""
        return list(self._entries.get(document, []))

    def waiting(self, now: datetime, older_than: timedelta, most: int) -> Mapping[str, Sequence[Pending]]:
        """See the port: whole documents, the one with the oldest event first."""
        with self.reached():
            due = {id: min(p.at for p in pendings) for id, pendings in self._entries.items() if pendings}
            chosen = sorted((id for id, at in due.items() if at < now - older_than), key=due.__getitem__)
            return {id: list(self._entries[id]) for id in chosen[:most]}

    def clear(self, sent: Mapping[str, Sequence[Pending]]) -> None:
        """See the port."""
        gone = {pending.id for pendings in sent.values() for pending in pendings}
        with self.reached():
            for id in sent:
                self._entries[id] = [pending for pending in self._entries.get(id, []) if pending.id not in gone]


class Told:
    """The port `Sends` of the handlers: keeps what it was given to send. With `fails` the relay must do it later."""

    def __init__(self) -> None:
        self.flights: list[list[Pending]] = []
        self.fails = False

    def send(self, waiting: Mapping[str, Sequence[Pending]]) -> bool:
        """See the port."""
        if flight := [pending for pendings in waiting.values() for pending in pendings]:
            self.flights.append(flight)
        return not self.fails

    @property
    def pendings(self) -> list[Pending]:
        """All that was sent, in order."""
        return [pending for flight in self.flights for pending in flight]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The same, decoded."""
        return [msgspec.json.decode(pending.body) for pending in self.pendings]

    @property
    def types(self) -> list[str]:
        """The types of all that was sent, in order."""
        return [pending.type for pending in self.pendings]

    def forget(self) -> None:
        """Begin anew."""
        self.flights.clear()

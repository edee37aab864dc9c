"""Gathers what an experiment left behind, from outside: the calendars, the databases, the logs, the dead letters."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pymongo

from deploy.local.mongo_users import DATABASES
from deploy.sandbox.client import SandboxAdmin
from libs.messaging.errors import BusUnavailable
from libs.messaging.letters import Letters
from libs.testing.leaks import leaks
from tests.e2e.world import World, ours
from tests.faults.history import Document, History, span_of
from tests.faults.load import Host, Load
from tests.faults.recorder import Recorder
from tests.model.life import Span

SERVICES = ("auth", "availability", "booking", "calendar-writer")
BOOKING = re.compile(r"bk_[a-z2-7]{26}")


class Evidence:
    """What can be seen from outside since this was made. Reads MongoDB as the operator may."""

    def __init__(self, world: World, canary: str) -> None:
        assert world.operator.mongo_url is not None
        self._world, self._canary = world, canary
        self._mongo: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
            world.operator.mongo_url.get_secret_value(),
            tz_aware=True,
            tlsCAFile=world.ca,
            serverSelectionTimeoutMS=10_000,
        )
        self._sandbox = SandboxAdmin(world.stack.urls()["sandbox"], world.ca)
        self._letters = Letters(world.link, world.emitter, SERVICES)
        self._old_letters = {found.name for found in self._waiting()}
        self._logs = {file: file.stat().st_size for file in self._files()}

    def of(self, run: str, hosts: Sequence[Host], load: Load, heard: Recorder, *, whole: bool) -> History:
        """Everything as it is now. `whole`: personal data is looked for in all that was written meanwhile."""
        names = [host.name for host in hosts]
        mine = {"$or": [{"span.host": {"$in": names}}, {"request.id": {"$regex": f"^{re.escape(run)}"}}]}
        letters = [found for found in self._waiting() if found.name not in self._old_letters]
        return History(
            run=run,
            hosts=names,
            asked=list(load.asked),
            heard=list(heard.events),
            bookings=list(self._mongo["valet_booking"]["bookings"].find(mine, {"sealed": 0})),
            effects=list(self._mongo["valet_calendar_writer"]["effects"].find({"host": {"$in": names}})),
            entries=[each for host in hosts for each in self._entries(host)],
            outside=load.outside,
            unsent=self._unsent(),
            letters=[found.reason for found in letters],
            leaks=list(self._leaks(heard, [repr(found.letter) for found in letters])) if whole else (),
        )

    def _waiting(self) -> list[Any]:
        try:
            return list(self._letters.look(1000).letters)
        except BusUnavailable:
            return []

    def _unsent(self) -> int:
        stores = [self._mongo[name] for name in DATABASES.values()]
        waiting = {"outbox.0": {"$exists": True}}
        return sum(store[name].count_documents(waiting) for store in stores for name in store.list_collection_names())

    def _entries(self, host: Host) -> Iterator[tuple[str, str, Span]]:
        for entry in self._sandbox.events(host.provider, host.account):
            if ours(entry) and (span := span_of(entry)):
                yield host.name, _booking_of(entry), span

    def _leaks(self, heard: Recorder, letters: Sequence[str]) -> Iterator[str]:
        if any(leaks(letter, [self._canary]) for letter in letters):
            yield "a dead letter"
        if any(leaks(body.decode(errors="replace"), [self._canary]) for body in list(heard.bodies)):
            yield "an event"
        for file in self._files():
            text = file.read_bytes()[self._since(file) :].decode(errors="replace")
            if leaks(text, [self._canary]):
                yield f"the log {file.name}"

    def _since(self, file: Path) -> int:
        old = self._logs.get(file, 0)
        return old if old <= file.stat().st_size else 0

    def _files(self) -> list[Path]:
        layout = self._world.stack.layout
        return [file for folder in (layout.logs, layout.rabbitmq / "log") for file in folder.glob("*.log*")]


def _booking_of(entry: Document) -> str:
    text = entry["raw"].get("description") or entry["raw"].get("body", {}).get("content", "")
    found = BOOKING.search(text)
    return found[0] if found else f"no booking in entry {entry['id']}"

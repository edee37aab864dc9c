"""A stack whose files can be read: MongoDB writes without compression, every service logs at DEBUG, canaries wherever they can be.

What MongoDB compresses could not be searched, so here its block compression (collections), its journal's and the prefix
compression of its indexes are switched off, by options beside its usual configuration; and it logs every operation.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from unittest import mock

from deploy.local.layout import REPOSITORY, write_file
from deploy.local.mongod import binary
from deploy.local.programs import SERVICES
from deploy.local.stack import SERVERS, Stack
from tests.privacy.canaries import Canaries

Manner = Literal["sealed", "plain"]
INSIDE = Path(__file__).parent / "inside"
MONGOD = """\
#!/bin/sh
exec '{program}' "$@" --wiredTigerCollectionBlockCompressor none --wiredTigerJournalCompressor none \\
    --wiredTigerIndexPrefixCompression false --slowms -1
"""


class Ground:
    """One stack in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._own = folder / "harness"
        self._own.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(self._own / "mongod", MONGOD.format(program=binary()), mode=0o700)
        self._canaries = self._own / "canaries"
        self.traffic = self._own / "traffic.jsonl"
        with self._around():
            self.stack = Stack(folder)

    def begin(self, canaries: Canaries, manner: Manner) -> None:
        """Start what does not run, for these canaries; services that run are started anew."""
        write_file(self._canaries, f"{canaries.stem} {manner}\n")
        self.end_services()
        self.start((*SERVERS, *SERVICES))

    def start(self, parts: Iterable[str]) -> None:
        """Start parts of the stack."""
        with self._around():
            self.stack.start(parts)

    def end_services(self) -> None:
        """End the services at once, as a crash would, so that they write no more."""
        for service in filter(self.stack.is_running, SERVICES):
            self.stack.kill(service)

    def stop(self) -> None:
        """End everything."""
        self.stack.stop(at_once=True)

    @contextmanager
    def _around(self) -> Iterator[None]:
        paths = os.pathsep.join((str(INSIDE), str(REPOSITORY)))
        added: Mapping[str, str] = {
            "PYTHONPATH": paths,
            "VALET_TEST_CANARIES": str(self._canaries),
            "VALET_MONGOD": str(self._own / "mongod"),
            "VALET_LOG_LEVEL": "DEBUG",
            "VALET_PROVIDER_TIMEOUT": "5",
            "SANDBOX_TRAFFIC_FILE": str(self.traffic),
        }
        with mock.patch.dict(os.environ, added):
            yield

"""A nameko service for tests: writes down what it handles; the event's id says what is to happen to it.

`die…` ends the process, `raise…` fails, `slow…` takes `TESTS_SLOW` seconds, everything else is simply done.
"""

import json
import os
from collections.abc import Sequence
from typing import Any

import eventlet

from libs.messaging.delivery import DONE, Incoming, Outcome
from libs.messaging.entrypoints import answers, consumes
from libs.messaging.runtime import Runtime, Wiring

SLOW = float(os.environ.get("TESTS_SLOW", "1"))
EACH = float(os.environ.get("TESTS_EACH", "0"))
_record = os.open(os.environ.get("TESTS_RECORD", os.devnull), os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def note(what: str, items: Sequence[Incoming[Any]]) -> None:
    """Write it down at once, in one write: a kill loses no line."""
    text = "".join(
        json.dumps({"what": what, "id": i.id, "attempt": i.attempt, "pid": os.getpid(), "batch": len(items)}) + "\n"
        for i in items
    )
    os.write(_record, text.encode())


class Declined(Exception):
    """An error that the service declares."""


class Hands(Wiring):
    """Nothing to wire; the probes come with it."""

    def build(self, runtime: Runtime) -> Any:
        return None


class Recorder:
    """Writes down what it handles."""

    name = os.environ.get("TESTS_SERVICE", "recorder")
    hands = Hands()

    @consumes("booking-held")
    def work(self, items: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
        note("begun", items)
        if any(item.id.startswith("die") for item in items):
            os._exit(9)
        if any(item.id.startswith("raise") for item in items):
            raise ValueError("Ada Example <ada@example.com>")
        if any(item.id.startswith("slow") for item in items):
            eventlet.sleep(SLOW)
        eventlet.sleep(EACH)
        note("done", items)
        return [DONE] * len(items)

    @answers()
    def echo(self, value: int) -> int:
        return value

    @answers()
    def pause(self, seconds: float) -> str:
        eventlet.sleep(seconds)
        return "awake"

    @answers()
    def fail(self) -> None:
        raise ValueError("Ada Example <ada@example.com>")

    @answers(Declined)
    def decline(self) -> None:
        raise Declined("not today")

    @answers()
    def large(self, size: int) -> str:
        return "x" * size

    @answers()
    def person(self, hosts: list[str], limit: int = 3) -> dict[str, int]:
        return dict.fromkeys(hosts, limit)

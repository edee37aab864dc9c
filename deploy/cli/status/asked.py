"""Asking everything at once: the services' pages, the broker, and the services by questions. What does not answer is left out."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from deploy.cli.asking import NAME
from deploy.cli.doctor import bus
from deploy.cli.status.pages import Page, parsed
from deploy.cli.web import Unanswered, get, lacking
from libs.config.settings import Settings
from libs.messaging import topology
from libs.messaging.errors import BusUnavailable, RpcError
from libs.messaging.link import CLOSED, TROUBLE, Link
from libs.messaging.rpc import Ask

QUESTIONS = {
    "connections": ("auth", "connections"),
    "providers": ("auth", "providers"),
    "effects": ("calendar-writer", "effects"),
}
COUNTED = {"auth": "providers", "availability": "slots", "booking": "journeys", "calendar-writer": "effects"}
"""A question of each service: every replica consumes its queue once."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a service's probes say. Not `up`: nobody answers there, `lacks` says why."""

    up: bool
    ready: bool = False
    lacks: tuple[str, ...] = ()
    page: Page = field(default_factory=Page)


@dataclass(slots=True)
class Answers:
    """What was learnt. `queues`: messages and consumers, by name; None if the bus is out of reach."""

    replies: dict[str, Reply] = field(default_factory=dict)
    queues: dict[str, tuple[int, int] | None] | None = None
    answered: dict[str, Any] = field(default_factory=dict)
    not_seen: dict[str, str] = field(default_factory=dict)


def ask_all(settings: Settings, probes: Mapping[str, str], seconds: float) -> Answers:
    """Ask everything at once; what is not there after so many seconds counts as silent."""
    found = Answers()
    deadline = time.monotonic() + seconds
    jobs: dict[str, Callable[[], None]] = {
        name: partial(_probe, found, name, url, settings.ca_bundle, seconds) for name, url in probes.items()
    }
    if settings.amqp_url is None:
        found.not_seen["the bus"] = "VALET_AMQP_URL is not set"
    else:
        link = Link(settings.model_copy(update={"connect_timeout": min(seconds, settings.connect_timeout)}), NAME)
        ask = Ask(link, seconds)
        jobs["the bus"] = partial(_queues, found, link)
        jobs |= {
            f"{service}.{method}": partial(_question, found, ask, key, (service, method))
            for key, (service, method) in QUESTIONS.items()
        }
    silent = _at_once(jobs, deadline)
    found.not_seen |= dict.fromkeys(silent, f"no answer in {seconds:g} s")
    return found


def _at_once(jobs: Mapping[str, Callable[[], None]], deadline: float) -> list[str]:
    """Run each in a thread of its own; the names of those that are not over in time. They are left behind."""
    # Daemons: one that hangs must not keep the command from ending.
    threads = {name: threading.Thread(target=job, daemon=True) for name, job in jobs.items()}
    for thread in threads.values():
        thread.start()
    for thread in threads.values():
        thread.join(max(0.0, deadline - time.monotonic()))
    return [name for name, thread in threads.items() if thread.is_alive()]


def _probe(found: Answers, name: str, url: str, ca: Path | None, seconds: float) -> None:
    try:
        ready = get(f"{url}/ready", ca, seconds)
        page = get(f"{url}/metrics", ca, seconds)
    except Unanswered as error:
        found.replies[name] = Reply(False, lacks=(str(error),))
        return
    good = ready.status == 200
    found.replies[name] = Reply(True, good, () if good else (lacking(ready),), parsed(page.text))


def _question(found: Answers, ask: Ask, key: str, question: tuple[str, str]) -> None:
    try:
        found.answered[key] = ask(*question)
    except RpcError as error:
        found.not_seen[".".join(question)] = str(error) or type(error).__name__


def _queues(found: Answers, link: Link) -> None:
    try:
        connection = link.open()
    except BusUnavailable as error:
        found.not_seen["the bus"] = bus.WORDS.get(str(error), (f"{bus.ELSE[0]} ({error})", ""))[0]
        return
    seen: dict[str, tuple[int, int] | None] = {}
    try:
        for name in _names():
            seen[name] = bus.look(connection, name)
        found.queues = seen
    except TROUBLE as error:
        found.not_seen["the bus"] = f"it went away ({type(error).__name__})"
    finally:
        with suppress(*CLOSED):
            connection.release()


def _names() -> list[str]:
    shared = [rung.queue for rung in topology.LADDER]
    each = [name for who in COUNTED for name in (topology.dead_queue(who), topology.GivenUp(who).name)]
    return [*shared, *each, *(topology.QuestionQueue(*pair).name for pair in COUNTED.items()), *WORK]


WORK = (
    *(f"availability.{name}" for name in ("check-holds", "forget-access", "note-bookings")),
    *(
        f"booking.{name}"
        for name in (
            "change-bookings",
            "decide-holds",
            "erase-people",
            "hold-bookings",
            "keep-host-rules",
            "note-calendar-effects",
            "note-conflicts",
        )
    ),
    *(f"calendar-writer.{name}" for name in ("resume-writes", "write-entries")),
)
"""Every queue of events of this release; a test keeps it equal to what the services declare."""

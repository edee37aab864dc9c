"""What the bench runs on: a stack of its own or one that stands already, hosts with calendars, and requests that do not collide."""

import itertools
import json
import os
import random
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pymongo.database import Database

from deploy.local.layout import REPOSITORY
from deploy.local.programs import SERVICES, part_name, service_of
from deploy.local.stack import SERVERS, Stack
from deploy.sandbox.accounts import Provider
from libs.mongo.client import Document, connect
from tests.bench.cost import Meter
from tests.bench.drive import Driver
from tests.bench.journal import WRITTEN, Asked
from tests.bench.pace import Window
from tests.bench.wire import Bus, Line
from tests.bench.yardstick import Yardstick, yardstick
from tests.conftest import settings_of
from tests.e2e.world import World, tomorrow

OWN_STATE = REPOSITORY / ".valet" / "bench"
MINUTES = 30  # of a booking: six cells of the grid
PROVIDERS: Sequence[Provider] = ("google", "microsoft")
DAYS = 300  # of a host that are booked, before the horizon
QUEUES = (
    "booking.hold-bookings",
    "availability.check-holds",
    "availability.note-bookings",
    "booking.decide-holds",
    "calendar-writer.write-entries",
    "booking.note-calendar-effects",
)
CALM = 0.05  # of one core: what a service uses when it has nothing to do, and a little more
CORES = os.cpu_count() or 1
STILL = 1.0  # seconds; timers tick once in each


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line."""

    state: Path | None = None
    keep: bool = False
    seed: int = 1
    bookings: int = 3000
    hosts: int = 20
    in_flight: Sequence[int] = (200, 1000, 4000)
    big: bool = False
    rounds: int = 1
    patience: float = 900.0
    """Seconds after which a run that has not ended is given up."""


@dataclass
class Ground:
    """A stack with every service up."""

    stack: Stack
    options: Options
    chance: random.Random
    yardstick: Yardstick = field(default_factory=Yardstick)
    world: World = field(init=False)
    _hosts: list[str] = field(default_factory=list)
    _next: dict[str, Iterator[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world = World(self.stack)
        self._run = uuid.uuid4().hex[:6]

    def hosts(self, many: int | None = None) -> list[str]:
        """So many hosts, every other at each provider; those that are there already come first."""
        many = many or self.options.hosts
        for number in range(len(self._hosts), many):
            host = f"bench-{self._run}-{number}"
            self.world.connect(host, PROVIDERS[number % len(PROVIDERS)])
            self._hosts.append(host)
            self._next[host] = itertools.count()
        return self._hosts[:many]

    def requests(self, many: int, hosts: Sequence[str]) -> list[Asked]:
        """Requests for times that nobody has yet, at each of these hosts in turn, each by another person."""
        return [self.asked(host, *self.free(host)) for host in itertools.islice(itertools.cycle(hosts), many)]

    def free(self, host: str) -> tuple[datetime, datetime]:
        """The next time at this host that was never asked for."""
        place = next(self._next[host])
        if place >= DAYS * 24 * 60 // MINUTES:
            raise ValueError(f"no more free times within {DAYS} days: use more --hosts or fewer --bookings")
        start = tomorrow(0) + place * timedelta(minutes=MINUTES)
        return start, start + timedelta(minutes=MINUTES)

    def asked(self, host: str, start: datetime, end: datetime) -> Asked:
        """A request, as long as real ones are."""
        id = uuid.uuid4().hex
        minutes = int((end - start).total_seconds() // 60)
        event = self.world.request(host, start, minutes, id=id, invitee=_person(id), title="First visit")
        return Asked(id, host, start, end, json.dumps(event).encode())

    def driver(self) -> Driver:
        """An emitter with an emitter's rights, and a listener."""
        return Driver(self.bus("emitter"), self.bus())

    def bus(self, who: str = "operator") -> Bus:
        """A way to the bus with the rights of `who`."""
        return Bus(self.stack.env(who)["VALET_AMQP_URL"], self.world.ca)

    def store(self, service: str) -> Database[Document]:
        """A service's own database, with its rights."""
        return connect(settings_of(self.stack, service), service)

    def meter(self, parts: Sequence[str] = ()) -> Meter:
        """What these parts cost; all servers and services that run, if none is named."""
        return Meter(self.stack.layout, parts or (*SERVERS, *self.services()))

    def services(self) -> list[str]:
        """The services that run, replicas included."""
        return [part for part, one in self.stack.status().items() if service_of(part) and one["state"] == "running"]

    def warm(self) -> None:
        """Some hundred bookings, so that every cache and connection is there that a running system has."""
        with self.driver() as driver:
            driver.run(self.requests(300, self.hosts()), Window(100), WRITTEN, self.options.patience)

    def caught_up(self) -> None:
        """Wait until nothing waits in the services' queues, and then until they rest. Raises TimeoutError."""
        deadline = time.monotonic() + self.options.patience
        line = Line(self.bus())
        while any(line.channel.queue_declare(name, passive=True).message_count for name in QUEUES):
            if time.monotonic() > deadline:
                raise TimeoutError("the services do not catch up")
            time.sleep(STILL)
        line.close()
        self.rest()

    def rest(self, within: float = 120.0) -> None:
        """Wait until the services have nothing more to do: they use next to no CPU. Raises TimeoutError."""
        services = self.services()
        meter, deadline = self.meter(services), time.monotonic() + within
        while time.monotonic() < deadline:
            before = meter.cpu()
            time.sleep(STILL)
            after = meter.cpu()
            if sum(after[part] - before[part] for part in services) < CALM * STILL * len(services):
                return
        raise TimeoutError("the services do not come to rest")


def _person(id: str) -> Mapping[str, Any]:
    return {
        "name": "Ada Example",
        "email": f"ada.{id[:12]}@example.com",
        "time_zone": "America/New_York",
        "fields": {"What is it about?": "A first visit. I have been here once before, three years ago."},
    }


def replicas(service: str, many: int) -> list[str]:
    """The parts that so many replicas of a service are."""
    return [part_name(service, number + 1) for number in range(many)]


@contextmanager
def ground(options: Options) -> Iterator[Ground]:
    """A stack: the one in `--state`, which stays up if it was up, or with `--keep`; else one with fresh data, gone with the run."""
    if options.state is None:
        Stack(OWN_STATE).stop(at_once=True)
        for data in ("rabbitmq", "mongod"):
            shutil.rmtree(OWN_STATE / data, ignore_errors=True)
    stack = Stack(options.state or OWN_STATE)
    stays = options.keep or (options.state is not None and stack.is_running("booking"))
    try:
        stack.start((*SERVERS, *SERVICES))
        with yardstick() as noted:
            yield Ground(stack, options, random.Random(options.seed), noted)
    finally:
        if not stays:
            stack.stop(at_once=options.state is None)

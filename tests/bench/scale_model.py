"""Bookings on their way through queues, replicas, broker and store: a simulation of discrete events. Pure; times in seconds.

A booking is a message in the first queue. A replica takes what waits in a queue, up to a batch, as soon as it has a batch's place
free; the batch takes time of the replica's one core, then of the store's cores, waits for the store's majority and for the
provider, then its events take time of the broker's cores and of the one leader of each queue that they flow into, and wait to be
confirmed. Only then the place is free again. Whatever is busy is used first come, first served.
"""

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from tests.bench.numbers import percentile

WARM = 0.25
"""The share of a run that is not looked at: it begins with empty queues."""


class Cost(Struct, frozen=True, forbid_unknown_fields=True):
    """CPU time in microseconds: so much for each message (or write), and so much for each batch of them."""

    each: float
    batch: float = 0.0

    def seconds(self, many: int, batches: int = 1) -> float:
        return (self.each * many + self.batch * batches) / 1e6


class Stage(Struct, frozen=True, forbid_unknown_fields=True):
    """A queue and its handler. Without `after` requests flow into it; otherwise what the handlers of those queues publish.

    `writes`: to the store, for each message; `waits`: for the store's majority or another service, for each batch;
    `calls`: to the provider, for each message, so many at once as `at_once` says.
    """

    queue: str
    service: str
    after: Sequence[str] = ()
    writes: int = 1
    waits: int = 1
    calls: float = 0.0
    at_once: int = 50


class System(Struct, frozen=True, forbid_unknown_fields=True):
    """What was measured or assumed of one process, of the store's primary, and of each of the broker's nodes that keep a copy.

    `auth_us`: of auth's CPU for a booking, `queue_per_second`: messages that the one leader of a queue carries. In k8s/SCALE.md
    stands what is measured and what is assumed. `decided` and `written`: the queues whose handlers bring a booking there.
    """

    batch: int
    in_flight: int
    services: Mapping[str, Cost]
    auth_us: float
    store: Cost
    broker: Cost
    broker_copies: int
    queue_per_second: float
    majority_ms: float
    confirm_ms: float
    provider_ms: float
    decided: str
    written: str
    stages: Sequence[Stage]

    def brokering(self, messages: int, flights: int) -> float:
        """CPU seconds of all the broker's nodes together."""
        return self.broker.seconds(messages, flights) * self.broker_copies


@dataclass(frozen=True)
class Size:
    """What a system is given: replicas of each service, cores of the broker's nodes together, cores of the store's primaries."""

    replicas: Mapping[str, int]
    broker: int
    store: int


@dataclass(frozen=True)
class Load:
    """Bookings a second, by a Poisson clock, for so many seconds."""

    rate: float
    seconds: float
    seed: int = 1


@dataclass
class Cores:
    """Some cores, first come first served."""

    many: int
    busy: float = 0.0
    _free: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._free = [0.0] * self.many

    def done(self, now: float, seconds: float) -> float:
        """When work that comes now is done."""
        end = max(now, heapq.heappop(self._free)) + seconds
        heapq.heappush(self._free, end)
        self.busy += seconds
        return end


@dataclass
class Line:
    """A queue while it is simulated. `free`: the replicas that have a place for a batch, once for each."""

    stage: Stage
    free: deque[int]
    feeds: list["Line"] = field(default_factory=list)
    leader: Cores = field(default_factory=lambda: Cores(1))
    waiting: deque[tuple[float, int]] = field(default_factory=deque)
    lags: list[tuple[float, float]] = field(default_factory=list)
    batches: int = 0


@dataclass(frozen=True)
class Outcome:
    """Lags (p99, seconds, until a handler began) and mean batch by queue, what share of the time replicas, broker, store and
    leaders were busy (over 1: behind with their work), seconds from requested to decided and written."""

    lags: Mapping[str, float]
    batches: Mapping[str, float]
    busy: Mapping[str, float]
    decided: Sequence[float]
    written: Sequence[float]

    def slowest(self, percent: float, written: bool = False) -> float:
        """The percentile of the time to a decision, or to an entry in the calendar. Infinite if none got there."""
        found = self.written if written else self.decided
        return percentile(found, percent) if found else math.inf


class Simulation:
    """One run. Everything random comes from the load's seed."""

    def __init__(self, system: System, size: Size, load: Load) -> None:
        self._system, self._load, self._size = system, load, size
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()
        self._replicas = {name: [Cores(1) for _ in range(many)] for name, many in size.replicas.items()}
        self._broker, self._store = Cores(size.broker), Cores(size.store)
        self._lines = {stage.queue: Line(stage, self._places(stage)) for stage in system.stages}
        for line in self._lines.values():
            for before in line.stage.after:
                self._lines[before].feeds.append(line)
        self._begun: list[float] = []
        self._ended: dict[str, list[float]] = {system.decided: [], system.written: []}

    def run(self) -> Outcome:
        """Simulate to the end of the load, and no further."""
        chance = random.Random(self._load.seed)
        self._at(chance.expovariate(self._load.rate), lambda now: self._arrive(now, chance))
        while self._events and self._events[0][0] <= self._load.seconds:
            now, _, act = heapq.heappop(self._events)
            act(now)
        return self._outcome()

    def _arrive(self, now: float, chance: random.Random) -> None:
        self._begun.append(now)
        for line in self._lines.values():
            if not line.stage.after:
                self._publish(now, line, [len(self._begun) - 1])
        self._at(now + chance.expovariate(self._load.rate), lambda at: self._arrive(at, chance))

    def _publish(self, now: float, line: Line, bookings: Sequence[int]) -> float:
        """Into a queue; when it is there."""
        sent = self._broker.done(now, self._system.brokering(len(bookings), 0))
        there = max(sent, line.leader.done(now, len(bookings) / self._system.queue_per_second))
        self._at(there, lambda at: self._lie(at, line, bookings))
        return there

    def _lie(self, now: float, line: Line, bookings: Iterable[int]) -> None:
        line.waiting.extend((now, booking) for booking in bookings)
        self._take(now, line)

    def _take(self, now: float, line: Line) -> None:
        while line.waiting and line.free:
            many = min(len(line.waiting), self._system.batch)
            taken = [line.waiting.popleft() for _ in range(many)]
            line.lags += ((now, now - since) for since, _ in taken)
            line.batches += 1
            self._work(now, line, line.free.popleft(), [booking for _, booking in taken])

    def _work(self, now: float, line: Line, replica: int, bookings: Sequence[int]) -> None:
        cores = self._replicas[line.stage.service][replica]
        end = cores.done(now, self._system.services[line.stage.service].seconds(len(bookings)))
        self._at(end, lambda at: self._write(at, line, replica, bookings))

    def _write(self, now: float, line: Line, replica: int, bookings: Sequence[int]) -> None:
        stage, system = line.stage, self._system
        cost = system.store.seconds(len(bookings) * stage.writes, stage.waits)
        rounds = math.ceil(len(bookings) * stage.calls / stage.at_once)
        wait = stage.waits * system.majority_ms + rounds * system.provider_ms
        end = self._store.done(now, cost) + wait / 1000
        self._at(end, lambda at: self._tell(at, line, replica, bookings))

    def _tell(self, now: float, line: Line, replica: int, bookings: Sequence[int]) -> None:
        flight = self._broker.done(now, self._system.brokering(0, 1))
        there = [self._publish(now, feed, bookings) for feed in line.feeds]
        end = max([flight, *there]) + self._system.confirm_ms / 1000
        self._at(end, lambda at: self._finish(at, line, replica, bookings))

    def _finish(self, now: float, line: Line, replica: int, bookings: Iterable[int]) -> None:
        if line.stage.queue in self._ended:
            late = (now - self._begun[booking] for booking in bookings if self._begun[booking] >= self._warm)
            self._ended[line.stage.queue] += late
        line.free.append(replica)
        self._take(now, line)

    def _outcome(self) -> Outcome:
        shares = {f"{name} {n}": cores for name, all in self._replicas.items() for n, cores in enumerate(all)}
        shares |= {"broker": self._broker, "store": self._store}
        shares |= {f"queue {queue}": line.leader for queue, line in self._lines.items()}
        lags = {queue: [lag for at, lag in line.lags if at >= self._warm] for queue, line in self._lines.items()}
        return Outcome(
            lags={queue: percentile(found, 99) if found else math.inf for queue, found in lags.items()},
            batches={queue: len(line.lags) / max(1, line.batches) for queue, line in self._lines.items()},
            busy={name: cores.busy / cores.many / self._load.seconds for name, cores in shares.items()},
            decided=self._ended[self._system.decided],
            written=self._ended[self._system.written],
        )

    @property
    def _warm(self) -> float:
        return self._load.seconds * WARM

    def _places(self, stage: Stage) -> deque[int]:
        """Every replica once, then once more, so that work is spread."""
        return deque([*range(self._size.replicas[stage.service])] * self._system.in_flight)

    def _at(self, when: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), act))

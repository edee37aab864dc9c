"""The floors: what the bare bus, the bare disk and the bare sandbox allow, measured on the same servers in the same run.

**A chain of forwarders.** So many processes, each of which takes messages from a durable quorum queue and puts them into the next:
py-amqp alone, over TLS, batches of at most 200, persistent messages, all of a batch published before its confirms are waited for,
then one ack for all of it; prefetch 800, so that up to four batches are in flight. They decode, know and store nothing.
The message is a real `booking-requested`. A booking takes three such hops from requested to confirmed (hold-bookings, check-holds,
decide-holds) and two more until written (write-entries, note-calendar-effects). In truth it takes more deliveries: booking-held and
booking-confirmed have a second reader each, and there are questions by RPC besides. So this floor is stricter than fair.

The same emitter and the same listener (of this process) are at the ends of the chain and of Valet.
"""

import itertools
import multiprocessing
import time
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

from amqp import Message

from tests.bench.cost import micros, spent
from tests.bench.drive import go
from tests.bench.ground import Ground
from tests.bench.numbers import rate
from tests.bench.pace import PAUSE, Window
from tests.bench.report import Figure
from tests.bench.wire import Bus, Emitter, Line, Listener, wait
from tests.bench.yardstick import Paced, faster

BATCH, PREFETCH = 200, 800
QUORUM = {"x-queue-type": "quorum"}
HOPS = {"confirmed": 3, "written": 5}
MESSAGES = 15_000
WINDOWS = (1000, 4000)


@dataclass(frozen=True)
class Chain:
    """What a chain carried: messages a second, and CPU microseconds of all processes for each."""

    hops: int
    rate: float
    cpu: Mapping[str, float]
    pace: float | None = None
    """The cores' meanwhile."""

    @property
    def cost(self) -> float:
        """CPU microseconds for one message."""
        return sum(self.cpu.values())

    @property
    def paced(self) -> Paced:
        """Messages a second."""
        return Paced(self.rate, self.pace)


class Forwarder:
    """Takes from one queue, puts into the next."""

    def __init__(self, bus: Bus, source: str, target: str) -> None:
        self._in, self._out = Line(bus), Emitter(bus, "", target)
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._flights: deque[tuple[int, int]] = deque()
        self._in.channel.basic_qos(0, PREFETCH, False)
        self._in.channel.basic_consume(source, callback=self._came)

    def run(self) -> None:
        """Forward until the process is ended."""
        while True:
            some = self._in.read()
            while self._waiting:
                self._forward([self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))])
            if not (self._out.read() or some):
                wait([self._in, self._out], PAUSE)
            self._acknowledge()

    def _came(self, message: Message) -> None:
        self._waiting.append((message.delivery_tag, message.body))

    def _forward(self, batch: Sequence[tuple[int, bytes]]) -> None:
        self._out.send([body for _, body in batch])
        self._flights.append((self._out.sent, batch[-1][0]))

    def _acknowledge(self) -> None:
        last = 0
        while self._flights and self._flights[0][0] <= self._out.confirmed:
            last = self._flights.popleft()[1]
        if last:
            self._in.channel.basic_ack(last, multiple=True)


def forward(bus: Bus, source: str, target: str) -> None:
    """The process of one hop."""
    Forwarder(bus, source, target).run()


@contextmanager
def chain(ground: Ground, hops: int) -> Iterator[tuple[str, str, Sequence[BaseProcess]]]:
    """So many forwarders, one after another: the queue to put messages into, and the one where they come out."""
    way, run = ground.bus(), uuid.uuid4().hex[:6]
    names = [f"bench.{run}.{number}" for number in range(hops + 1)]
    line = Line(way)
    for name in names[:-1]:
        line.channel.queue_declare(name, durable=True, exclusive=False, auto_delete=False, arguments=QUORUM)
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=forward, args=(way, *pair)) for pair in itertools.pairwise(names)]
    for worker in workers:
        worker.start()
    try:
        yield names[0], names[-1], workers
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
        for name in names[:-1]:
            line.channel.queue_delete(name)
        line.close()


def bus(ground: Ground, hops: int, messages: int = MESSAGES) -> Chain:
    """What a chain with so many hops carries: the best of several windows, after a warm-up. `messages` in hundreds, even."""
    bodies = [each.body for each in ground.requests(200, ground.hosts(2))]
    count = [0]

    def heard(_kind: str, _body: bytes) -> None:
        count[0] += 1

    with chain(ground, hops) as (first, last, workers):
        listener = Listener(ground.bus(), heard, name=last)
        emitter = Emitter(ground.bus(), "", first)
        pids = {f"forwarder {place}": worker.pid or 0 for place, worker in enumerate(workers, 1)}
        meter = ground.meter(["rabbitmq"]) | pids

        def run(many: int, wide: int) -> Chain:
            sent, began, before = bodies * (many // len(bodies)), time.monotonic(), meter.cpu()
            go(emitter, listener, sent, Window(wide), lambda: count[0], ground.options.patience)
            ended, cpu = time.monotonic(), micros(spent(before, meter.cpu()), many)
            return Chain(hops, rate(many, ended - began), cpu, ground.yardstick.pace(began, ended))

        run(min(messages, 1000), 200)
        best = _best([run(messages, wide) for wide in WINDOWS])
        emitter.close()
        listener.close()
    return best


def chains(ground: Ground) -> dict[str, Chain]:
    """The floors that bookings are held against, by how far a booking has come: `confirmed`, `written`."""
    return {name: _best(_rounds(ground, hops)) for name, hops in HOPS.items()}


def _best(chains: Sequence[Chain]) -> Chain:
    return max(chains, key=lambda each: faster(each.paced, chains[0].paced))


def _rounds(ground: Ground, hops: int) -> list[Chain]:
    return [bus(ground, hops) for _ in range(ground.options.rounds)]


def figures(measured: Mapping[str, Chain]) -> list[Figure]:
    """The chains as figures."""
    return [figure for chain in measured.values() for figure in _two(chain)]


def _two(chain: Chain) -> list[Figure]:
    return [
        Figure("floor", f"messages through {chain.hops} bare hops", chain.rate, "messages/s", pace=chain.pace),
        Figure("floor", f"CPU for a message through {chain.hops} bare hops", chain.cost, "µs", pace=chain.pace),
    ]

"""Valet against the plain way: one booking per message through nameko's own event handler, on the same servers, the same work.

The plain services (plain/service.py) run one process each, with nameko's defaults: ten workers, classic durable queues, an ack per
message, a dispatcher that waits for each confirm. They are held against Valet's requested to confirmed with the writer stopped.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from amqp.exceptions import NotFound

from deploy.local.layout import REPOSITORY
from deploy.local.programs import inherited
from tests.bench.cost import micros, spent
from tests.bench.drive import Driver, Ends
from tests.bench.ground import Ground
from tests.bench.journal import DECIDED
from tests.bench.numbers import rate
from tests.bench.pace import Window
from tests.bench.report import Figure, compared, dear
from tests.bench.throughput import Load, cheapest
from tests.bench.wire import Line
from tests.bench.yardstick import Paced, faster

GOAL = 8.0
BOOKINGS, IN_FLIGHT = 1000, 200
QUEUES: Mapping[str, str] = {
    "Hold": "evt-plain-emitter-booking-requested--plain-hold.hold",
    "Check": "evt-plain-hold-booking-held--plain-check.check",
    "Decide": "evt-plain-check-hold-approved--plain-decide.decide",
}
ENDS = Ends("plain-emitter.events", "plain-decide.events", ("booking-confirmed",), "application/json")
STARTED = 60.0  # seconds until the plain services must have started
COLLECTION = "bench_plain"


def figures(ground: Ground, alone: Sequence[Load]) -> list[Figure]:
    """How many times the rate of the plain way Valet's is."""
    plain, cost = measured(ground)
    best = max((each.paced(each.confirmed) for each in alone), key=lambda each: faster(each, plain))
    by_handlers = "one booking per message by nameko's handlers, confirmed"
    return [
        Figure("against", by_handlers, plain.value, "bookings/s", pace=plain.pace),
        compared("against", "the same work in batches, confirmed", best, "bookings/s", plain, GOAL),
        dear(
            "against", "CPU for a booking, one per message", cost, cheapest(alone).paced_cost, note="bare: in batches"
        ),
    ]


def measured(ground: Ground) -> tuple[Paced, Paced]:
    """Bookings a second by the plain way, and CPU microseconds for each."""
    asked = ground.requests(BOOKINGS + IN_FLIGHT, ground.hosts())
    with _running(ground) as pids, Driver(ground.bus(), ground.bus(), ENDS) as driver:
        driver.run(asked[:IN_FLIGHT], Window(IN_FLIGHT), DECIDED, ground.options.patience)
        meter = ground.meter(["rabbitmq", "mongod"]) | pids
        before = meter.cpu()
        run = driver.run(asked[IN_FLIGHT:], Window(IN_FLIGHT), DECIDED, ground.options.patience)
        cost = sum(micros(spent(before, meter.cpu()), BOOKINGS).values())
    pace = ground.yardstick.pace(run.began, run.ended)
    return Paced(rate(BOOKINGS, run.seconds(DECIDED)), pace), Paced(cost, pace)


@contextmanager
def _running(ground: Ground) -> Iterator[Mapping[str, int]]:
    env = inherited(ground.stack.env("booking") | {"PLAIN_AMQP_URL": ground.stack.env("operator")["VALET_AMQP_URL"]})
    command = [sys.executable, "-m", "tests.bench.plain"]
    null = subprocess.DEVNULL
    started = {
        name: subprocess.Popen([*command, name], env=env, cwd=REPOSITORY, stdout=null, stderr=null) for name in QUEUES
    }
    line = Line(ground.bus())
    try:
        _consumed(ground)
        yield {name: process.pid for name, process in started.items()}
    finally:
        for process in started.values():
            process.terminate()
            process.wait()
        for queue in QUEUES.values():
            line.channel.queue_delete(queue)
        line.close()
        ground.store("booking")[COLLECTION].drop()


def _consumed(ground: Ground) -> None:
    """Wait until each of the queues has a consumer. Raises TimeoutError."""
    deadline = time.monotonic() + STARTED
    while not all(_has_consumer(ground, queue) for queue in QUEUES.values()):
        if time.monotonic() > deadline:
            raise TimeoutError("the plain services do not start")
        time.sleep(0.2)


def _has_consumer(ground: Ground, queue: str) -> bool:
    line = Line(ground.bus())
    try:
        return bool(line.channel.queue_declare(queue, passive=True).consumer_count)
    except NotFound:
        return False
    finally:
        line.close()

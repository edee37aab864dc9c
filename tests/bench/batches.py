"""What batches bring: throughput to written in a closed loop, with services that take at most so many events at a time.

The services are started anew with each size (`VALET_BATCH_SIZE`), and in the end as they were. A batch is what has arrived, up to
that many, so a size of 1 is one booking per message in Valet's own machinery.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.local.programs import SERVICES
from tests.bench.ground import Ground
from tests.bench.journal import WRITTEN
from tests.bench.report import Figure
from tests.bench.throughput import load

SIZES = (1, 20, 200, 1000)
IN_FLIGHT, BOOKINGS = 400, 1200
SETTING = "VALET_BATCH_SIZE"


def figures(ground: Ground) -> list[Figure]:
    """The rate and the cost at each size."""
    return [figure for size in SIZES for figure in _at(ground, size)]


def _at(ground: Ground, size: int) -> list[Figure]:
    with _batches_of(ground, size):
        each = load(ground, IN_FLIGHT, WRITTEN, BOOKINGS)
    what = f"batches of at most {size}"
    return [
        Figure("batches", f"written, {what}", each.rate, "bookings/s", note=f"{each.busy:.0%} of the cores"),
        Figure("batches", f"CPU for a booking, {what}", each.cost, "µs"),
    ]


@contextmanager
def _batches_of(ground: Ground, size: int) -> Iterator[None]:
    before = os.environ.get(SETTING)
    os.environ[SETTING] = str(size)
    try:
        _restart(ground)
        yield
    finally:
        os.environ.pop(SETTING)
        if before is not None:
            os.environ[SETTING] = before
        _restart(ground)


def _restart(ground: Ground) -> None:
    for service in SERVICES:
        ground.stack.stop_part(service)
    ground.stack.start(SERVICES)

"""The bench on a real stack, as short as can be: what it measures with does measure."""

import random
from pathlib import Path

import pytest

from deploy.local.stack import Stack
from tests.bench import floor
from tests.bench.cost import spent
from tests.bench.drive import NotInTime
from tests.bench.ground import Ground, Options
from tests.bench.journal import DECIDED, WRITTEN
from tests.bench.pace import Window
from tests.bench.throughput import WRITER

BOOKINGS = 20


@pytest.fixture
def ground(stack: Stack, tmp_path: Path) -> Ground:
    return Ground(stack, Options(state=tmp_path, hosts=2, patience=120), random.Random(1))


def test_a_run_hears_of_every_booking_and_says_what_it_cost(ground: Ground) -> None:
    asked, meter = ground.requests(BOOKINGS, ground.hosts()), ground.meter()
    before = meter.cpu()

    with ground.driver() as driver:
        run = driver.run(asked, Window(5), WRITTEN, ground.options.patience)

    ids = {each.id for each in asked}
    assert (set(run.journal.decided), set(run.journal.written), run.journal.confirmed) == (ids, ids, ids)
    assert 0 < run.seconds(DECIDED) <= run.ended - run.began
    cost = spent(before, meter.cpu())
    assert all(cost[part] > 0 for part in ("rabbitmq", "mongod", "sandbox", "booking", WRITER))


def test_a_run_that_does_not_end_is_given_up(ground: Ground) -> None:
    with ground.driver() as driver, pytest.raises(NotInTime, match="only 0 of 1 came back"):
        driver.run(ground.requests(1, ground.hosts()), Window(0), DECIDED, 0.5)


def test_a_bare_chain_carries_every_message(ground: Ground) -> None:
    carried = floor.bus(ground, hops=2, messages=200)

    assert carried.rate > 0
    assert {"rabbitmq", "bench", "forwarder 1", "forwarder 2"} == set(carried.cpu)
    assert carried.cost > 0

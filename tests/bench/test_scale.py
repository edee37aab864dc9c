"""The simulation of scale: queueing theory where it has an answer, and what must follow from what."""

import json
from collections import Counter
from dataclasses import replace

import msgspec
import pytest

from deploy.local.layout import REPOSITORY
from tests.bench import footprint, scale
from tests.bench.scale_cost import Bytes, Prices, bill
from tests.bench.scale_model import Cores, Cost, Load, Outcome, Simulation, Size, Stage, System

GIVEN = scale.read()
FREE = Cost(each=0)
ALONE = System(
    batch=1,
    in_flight=1,
    services={"booking": Cost(each=1000)},
    auth_us=0,
    store=FREE,
    broker=FREE,
    broker_copies=1,
    queue_per_second=1e9,
    majority_ms=0,
    confirm_ms=0,
    provider_ms=0,
    decided="hold",
    written="hold",
    stages=[Stage(queue="hold", service="booking")],
)
"""One queue, one core, a millisecond for each."""
ONE = Size({"booking": 1}, broker=1, store=1)


def run(system: System, size: Size = ONE, rate: float = 500, seconds: float = 40) -> Outcome:
    return Simulation(system, size, Load(rate, seconds)).run()


def changed_system(system: System, **changes: object) -> System:
    return msgspec.structs.replace(system, **changes)


def test_one_server_half_busy_makes_wait_what_queueing_theory_says() -> None:
    """M/D/1 (Pollaczek and Khinchine): the mean time in the system is s + rho s / (2 (1 - rho)) = 1.5 ms."""
    outcome = run(ALONE)

    assert sum(outcome.decided) / len(outcome.decided) == pytest.approx(0.0015, rel=0.05)
    assert outcome.busy["booking 0"] == pytest.approx(0.5, rel=0.05)


def test_too_much_for_one_server_waits_ever_longer_until_there_is_a_second() -> None:
    assert run(ALONE, rate=1500, seconds=4).lags["hold"] > 1
    assert run(ALONE, Size({"booking": 2}, 1, 1), rate=1500, seconds=4).lags["hold"] < 0.1


def test_batches_fill_as_more_waits_and_spare_what_each_costs() -> None:
    system = changed_system(ALONE, batch=200, services={"booking": Cost(each=100, batch=4900)})

    calm, busy = run(system, rate=20), run(system, rate=2000, seconds=5)
    assert calm.batches["hold"] < 2 < busy.batches["hold"]
    assert busy.slowest(99) < 0.1  # one by one it would take 5 ms each: ten cores' work


@pytest.mark.parametrize(
    ("changes", "slowed"),
    [
        ({"majority_ms": 20.0}, 0.02),
        ({"confirm_ms": 20.0}, 0.02),
        ({"store": Cost(each=0, batch=20_000)}, 0.02),
        ({"broker": Cost(each=0, batch=10_000), "broker_copies": 2}, 0.02),
        ({"queue_per_second": 50.0}, 0.02),
    ],
)
def test_everything_on_the_way_takes_its_time(changes: dict[str, object], slowed: float) -> None:
    system = changed_system(ALONE, in_flight=100)

    quick, slow = run(system, rate=1), run(changed_system(system, **changes), rate=1)
    assert slow.slowest(50) - quick.slowest(50) == pytest.approx(slowed, rel=0.01)


def test_calls_to_the_provider_are_made_so_many_at_once() -> None:
    def slowest(at_once: int) -> float:
        stage = Stage(queue="hold", service="booking", calls=3, at_once=at_once)
        return run(changed_system(ALONE, provider_ms=100, in_flight=100, stages=[stage]), rate=1).slowest(50)

    assert slowest(1) - slowest(3) == pytest.approx(0.2, rel=0.01)


def test_an_event_flows_into_every_queue_behind() -> None:
    stages = [
        Stage(queue="hold", service="booking"),
        Stage(queue="note", service="booking", after=["hold"]),
        Stage(queue="decide", service="booking", after=["hold", "note"]),
    ]
    outcome = run(changed_system(ALONE, stages=stages, decided="note", written="decide"), rate=10)

    assert len(outcome.written) == pytest.approx(2 * len(outcome.decided), rel=0.02)


def test_cores_serve_in_the_order_of_coming() -> None:
    cores = Cores(2)

    assert [cores.done(now, 10) for now in (0, 1, 2, 3, 30)] == [10, 11, 20, 21, 40]


def test_the_same_seed_gives_the_same_outcome_and_another_one_another() -> None:
    outcomes = [Simulation(ALONE, ONE, Load(500, 2, seed)).run().decided for seed in (1, 1, 2)]

    assert outcomes[0] == outcomes[1] != outcomes[2]


def test_a_plan_has_room_keeps_lags_short_and_grows_with_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "BOOKINGS", 5000)
    small, large = (scale.plan(GIVEN, rate) for rate in (100, 1000))

    for plan in (small, large):
        assert plan.limit is None
        assert max(plan.outcome.lags.values()) <= scale.LAG
        assert max(plan.outcome.busy[server] for server in ("broker", "store")) <= scale.BUSY
    assert large.size.replicas["calendar-writer"] > small.size.replicas["calendar-writer"]
    assert large.size.store > small.size.store
    assert large.bill.once < small.bill.once  # what stands there anyway is shared by more


def test_what_one_queue_cannot_carry_is_named_and_cells_carry_it() -> None:
    system = changed_system(GIVEN.system, queue_per_second=300.0)
    given = msgspec.structs.replace(GIVEN, system=system)

    assert scale.plan(given, 400).limit == "queue availability.note-bookings"  # two events of each booking flow into it
    in_cells = scale.plan(given, 400, cells=4)
    assert in_cells.limit is None
    assert in_cells.cells == 4


def test_costs_are_those_by_which_both_measurements_come_out() -> None:
    measured = scale.Measured(messages=3, alone_us=3300, alone_batches=3, full_us=400, full_batches=0.1)
    cost = measured.cost()

    assert (cost.each, cost.batch) == pytest.approx((100, 1000))
    assert all(one.each > 0 and one.batch > 0 for one in (*GIVEN.system.services.values(), GIVEN.system.store))


def test_what_was_measured_takes_the_form_of_the_file() -> None:
    parts = ("booking", "availability", "calendar-writer", "mongod", "rabbitmq")
    alone = footprint.Leg(dict.fromkeys(parts, 5000.0), {stage.queue: 1.0 for stage in GIVEN.system.stages})
    full = footprint.Leg(dict.fromkeys(parts, 700.0), {stage.queue: 0.01 for stage in GIVEN.system.stages})
    found = msgspec.convert(footprint.measured(alone, full), dict[str, scale.Measured])

    assert {name: one.messages for name, one in found.items()} == {
        "booking": 3,
        "availability": 3,
        "calendar-writer": 1,
        "store": 8,
        "broker": 7,
    }
    assert found["booking"].alone_batches == 3
    # Of the six queues one waits for no write, one for two, one for three.
    assert found["store"].full_batches == pytest.approx(0.08)
    assert found["broker"].full_batches == pytest.approx(0.06)


def test_what_hardly_grew_is_left_out_of_the_footprint() -> None:
    before = {"bookings": Counter({"documents": 10, "bytes": 5000}), "leases": Counter({"documents": 1, "bytes": 40})}
    after = {"bookings": Counter({"documents": 110, "bytes": 55_000}), "leases": Counter({"documents": 2, "bytes": 80})}
    new = {"keys": Counter({"documents": 100, "bytes": 20_000})}

    assert footprint.grown(before, after | new, 100) == {
        "bookings": {"documents": 1.0, "bytes": 500.0},
        "keys": {"documents": 1.0, "bytes": 200.0},
    }


def test_a_bill_by_hand() -> None:
    """1,000 a second are 3.6 million an hour. 10 replicas, 4 cores of a broker on three nodes: 6, store 2 on three members: 6."""
    bytes = Bytes(published=3000, queued=6000, store=9000, oplog=1000, provider=2000, kept=1000)
    prices = Prices(service_vcpu_hour=0.36, server_vcpu_hour=0.6, disk_gb_month=0.1, between_zones_gb=0.02, nat_gb=0.05)
    found = bill(Size({"booking": 10}, broker=4, store=2), 1000, bytes, prices)

    assert found.services == pytest.approx(1.0)
    assert (found.broker, found.store) == pytest.approx((1.0, 1.0))
    assert bytes.between_zones == pytest.approx(2000 + 16_000 + 6000 + 2000)
    assert found.network == pytest.approx(26 * 0.02 + 2 * 0.05)
    assert found.kept == pytest.approx(3 * 0.1)
    assert found.once == pytest.approx(3 + 0.62)


def test_queues_and_services_are_those_of_the_manifests() -> None:
    """What is simulated is what is deployed: the queues that grow with bookings are among those that replicas are scaled by."""
    scaling = (REPOSITORY / "k8s/components/keda/scaling.yaml").read_text(encoding="utf-8")

    assert all(f"queueName: {stage.queue}," in scaling for stage in GIVEN.system.stages)


def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert scale.main(["--json", "50", "100/2"]) == 0
    first, second = json.loads(capsys.readouterr().out)

    assert (first["rate"], second["rate"], second["cells"]) == (50, 100, 2)
    assert first["replicas"] == second["replicas"]
    assert first["dollars_per_million"]["once"] > 0


def test_too_small_a_size_is_grown_until_it_is_enough() -> None:
    size = replace(ONE, replicas=dict.fromkeys(("booking", "availability", "calendar-writer", "auth"), 1))
    outcome = Simulation(GIVEN.system, size, Load(500, 4)).run()
    larger = scale.grown(GIVEN.system, size, outcome)

    assert max(outcome.busy["store"], outcome.busy["broker"]) > scale.BUSY
    assert larger.store + larger.broker > size.store + size.broker
    assert larger.replicas == size.replicas  # servers first: replicas wait for them

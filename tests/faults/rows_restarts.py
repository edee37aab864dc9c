"""Rows 10, 11 and 22: services asked to end, the broker gone, everything said five times."""

from collections import Counter
from collections.abc import Sequence

from tests.faults.experiment import Experiment
from tests.faults.ground import Ground
from tests.faults.load import Traffic

SERVICES = ("booking", "availability", "auth", "calendar-writer")
RUNS = "every.handler-run"
FIVE_TIMES = "every.five-times"


def services_end(ground: Ground) -> None:
    """Each service is asked to end, under load, and started again; no handler is given the same delivery twice."""
    ground.points.arm(RUNS)
    before = len(ground.points.notes(RUNS))
    for service in SERVICES:
        ground.stack.stop_part(service)
        ground.start([service])
        ground.again()
        ground.flow(8)
    ground.over()
    ground.flow(8)
    runs = ground.points.notes(RUNS)[before:]
    ground.points.disarm(RUNS)
    for run, times in Counter(runs).items():
        if times > 1:
            ground.broke(f"a job was done {times} times: {run}")
    ground.measured("handler runs", f"{len(runs)}, none twice")


def broker_killed(ground: Ground) -> None:
    """Kill -9, an outage of some seconds, and back."""
    ground.stack.kill("rabbitmq")
    ground.flow(1, 3)
    ground.stack.start(["rabbitmq"])


def broker_restarted(ground: Ground) -> None:
    """A graceful restart."""
    ground.stack.restart("rabbitmq")


def all_five_times(ground: Ground) -> None:
    """Two of each service, and every message that one of them publishes, and every request, comes five times at once."""
    seconds = [f"{service}-2" for service in SERVICES]
    ground.stack.start(seconds)
    ground.points.arm(FIVE_TIMES)
    ground.load.times = 5
    ground.flow(250, 90)
    ground.points.disarm(FIVE_TIMES)
    ground.load.times = 1
    heard = list(ground.heard.events)
    ground.measured("heard", f"{len(heard)} events for {len({(e['source'], e['id']) for e in heard})}")
    for part in seconds:
        ground.stack.stop_part(part)


ONCE_ONLY = Traffic(repeats=0.0)

EXPERIMENTS: Sequence[Experiment] = (
    Experiment(10, "SIGTERM to every service under load", 60, services_end, traffic=ONCE_ONLY),
    Experiment(11, "broker killed and restarted", 90, broker_killed),
    Experiment(11, "broker restarted in order", 90, broker_restarted),
    Experiment(22, "every event five times at once, to two of each service", 60, all_five_times),
)

"""Rows 10, 11, 22 and 30: services asked to end or rolled, the broker gone, everything said five times."""

from collections import Counter
from collections.abc import Sequence

from tests.faults.experiment import Experiment
from tests.faults.ground import Ground
from tests.faults.load import Traffic
from tests.faults.measuring import Paces, paces

SERVICES = ("booking", "availability", "auth", "calendar-writer")
RUNS = "every.handler-run"
FIVE_TIMES = "every.five-times"
DECIDED, WRITTEN = 5.0, 60.0
"""Seconds: the objectives, from requested to decided and from confirmed to written (`deploy/prometheus/objectives.yaml`)."""


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


def rolled(ground: Ground) -> None:
    """As Kubernetes rolls a Deployment: another of the service is ready before the old one is asked to end, one service after the
    other. Nobody who asks meanwhile notices: each decision and each entry comes within its objective."""
    for service in SERVICES:
        for old, new in ((service, f"{service}-2"), (f"{service}-2", service)):
            ground.stack.start([new])
            ground.flow(4)
            ground.stack.stop_part(old)
            ground.flow(4)
    ground.over()
    asked = list(ground.heard.events)

    def seen() -> Paces:
        return paces(asked, list(ground.heard.events))

    ground.until(lambda: seen().waiting == 0, 90, "all that was asked for is decided and written")
    for what, slowest, objective in (("decided", seen().decided, DECIDED), ("written", seen().written, WRITTEN)):
        if slowest > objective:
            ground.broke(f"one was {what} after {slowest:.1f} s, the objective is {objective:.0f}")
    ground.measured(
        "slowest", f"decided {seen().decided:.2f} s of {DECIDED:.0f}, written {seen().written:.2f} s of {WRITTEN:.0f}"
    )


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
    Experiment(30, "every service rolled, under load", 60, rolled, mixed=False),
    Experiment(22, "every event five times at once, to two of each service", 60, all_five_times),
)

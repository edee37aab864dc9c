"""Some rows of the table of faults in their shortest form, several in one load; `make faults` is the long one."""

from collections.abc import Iterator

import pytest

from deploy.local.stack import Stack
from tests.faults.experiment import Experiment, run
from tests.faults.ground import Ground
from tests.faults.load import Traffic
from tests.faults.points import Points
from tests.faults.rows_kills import tokens_end
from tests.faults.site import injected

SERVICES = ("booking", "availability", "auth", "calendar-writer")
SEED = 7


@pytest.fixture(scope="module")
def points(servers: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Points]:
    """Services that can be struck; afterwards they are started anew without that."""
    points = Points(tmp_path_factory.mktemp("points"))
    _end(servers)
    with injected(points):
        servers.start(SERVICES)
        yield points
    _end(servers)


def _end(stack: Stack) -> None:
    for service in SERVICES:
        if stack.is_running(service):
            stack.kill(service)


def killed_together(ground: Ground) -> None:
    """All four services, each at the point where it hurts most, in an order in which nobody is kept from getting there; then
    booking once more, in mid-publish."""
    ground.struck("writer.after-call", "calendar-writer")
    ground.struck("auth.before-saving", "auth", tokens_end)
    ground.struck("booking.after-insert", "booking")
    ground.stack.kill("availability")
    ground.start(SERVICES)
    ground.again()
    ground.struck("relay.before-confirm", "booking")
    ground.start(SERVICES)


@pytest.mark.timeout(400)  # a failure is only told after twice the bound
def test_what_is_killed_in_mid_work_changes_nothing(servers: Stack, points: Points) -> None:
    # given services under load
    experiment = Experiment(2, "services killed at once", 120, killed_together, traffic=Traffic(hosts=1))
    # when each is killed where its work is half done, and started again
    line = run([experiment], Ground(servers, "quick", SEED, points, experiment.traffic), "quick")
    # then every promise held, and all was decided and written in time
    assert line.held, "\n".join(line.seen)

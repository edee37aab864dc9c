"""Rows 14 to 16: MongoDB killed, its primary stepping down again and again, its old primary parted from the others."""

import time
from collections.abc import Sequence

from tests.faults.experiment import Experiment
from tests.faults.ground import Ground
from tests.faults.replicas import MEMBERS, ThreeMembers, three_members

STEPS = 5
APART = 20.0  # seconds; the others elect after five to ten


def store_killed(ground: Ground) -> None:
    """Kill -9, an outage of some seconds, and back."""
    ground.stack.kill("mongod")
    ground.flow(16, 4)
    ground.stack.start(["mongod"])


def steps_down(ground: Ground) -> None:
    """The primary steps down again and again, under load."""
    stack = _stack(ground)
    for _ in range(STEPS):
        ground.until(lambda: stack.primary() is not None, 40, "there is a primary")
        ground.again()
        stack.step_down()
        ground.over()
        ground.flow(12)


def parted(ground: Ground) -> None:
    """The old primary is parted from the other two, and all clients still reach it; then it comes back."""
    stack = _stack(ground)
    ground.until(lambda: stack.primary() is not None, 40, "there is a primary")
    old = stack.primary() or MEMBERS[0]
    others = [member for member in MEMBERS if member != old]
    began = time.monotonic()
    with stack.isolated(old):
        ground.until(lambda: stack.primary(others) is not None, 40, "the others elect a primary")
        ground.measured("elected", f"after {time.monotonic() - began:.1f} s")
        ground.flow(24, APART)
        time.sleep(max(0.0, APART - (time.monotonic() - began)))
    ground.over()
    ground.until(lambda: stack.primary([old]) is None, 30, "the old primary gives way")
    ground.flow(12)


def _stack(ground: Ground) -> ThreeMembers:
    assert isinstance(ground.stack, ThreeMembers)
    return ground.stack


UNREAD = frozenset({"calendar-unreadable", "hold-expired"})

EXPERIMENTS: Sequence[Experiment] = (
    Experiment(14, "mongod killed and restarted", 60, store_killed, excused=UNREAD),
    Experiment(15, f"primary of three steps down {STEPS} times", 60, steps_down, False, UNREAD, stack=three_members),
    Experiment(16, "old primary of three parted from the others", 60, parted, False, UNREAD, stack=three_members),
)

"""Providers in trouble, and messages that nobody can read: rows 19, 20, 21 and 23 of the table of faults, in one load."""

from pathlib import Path

import pytest

from deploy.local.stack import Stack
from tests.faults.experiment import Experiment, run
from tests.faults.ground import Ground
from tests.faults.load import Traffic
from tests.faults.points import Points
from tests.faults.rows import EXPERIMENTS

SEED = 11
ROWS = (19, 20, 21, 23)
QUICK = Traffic(hosts=1, pace=12)


@pytest.mark.timeout(300)
def test_providers_in_trouble_and_unreadable_messages_change_nothing(stack: Stack, tmp_path: Path) -> None:
    # given services under load
    rows: list[Experiment] = [experiment for experiment in EXPERIMENTS if experiment.row in ROWS]
    ground = Ground(stack, "providers", SEED, Points(tmp_path), QUICK)
    ground.excused = frozenset().union(*(row.excused for row in rows))
    ground.letters = frozenset().union(*(row.letters for row in rows))
    # when providers store and stay silent, answer nonsense, have our id taken, and bad messages come
    line = run(rows, ground, "providers")
    # then every promise held, and all was decided and written in time
    assert line.held, "\n".join(line.seen)

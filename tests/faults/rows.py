"""All experiments, by their rows in the table of faults that Valet survives (see README.md)."""

from collections import Counter
from collections.abc import Sequence

from tests.faults import rows_kills, rows_load, rows_network, rows_providers, rows_restarts, rows_store
from tests.faults.experiment import Experiment

EXPERIMENTS: Sequence[Experiment] = sorted(
    (
        *rows_kills.EXPERIMENTS,
        *rows_load.EXPERIMENTS,
        *rows_network.EXPERIMENTS,
        *rows_providers.EXPERIMENTS,
        *rows_restarts.EXPERIMENTS,
        *rows_store.EXPERIMENTS,
    ),
    key=lambda experiment: experiment.row,
)


def named() -> dict[str, Experiment]:
    """Each experiment by its name: the row, with a letter where a row has several."""
    count = Counter(experiment.row for experiment in EXPERIMENTS)
    seen: Counter[int] = Counter()
    names: dict[str, Experiment] = {}
    for experiment in EXPERIMENTS:
        letter = chr(ord("a") + seen[experiment.row]) if count[experiment.row] > 1 else ""
        seen[experiment.row] += 1
        names[f"{experiment.row}{letter}"] = experiment
    return names


MIX = 29
"""The row that is made of the others."""

"""The cores' pace: what it makes of samples, and that it is measured on every core, however busy."""

import multiprocessing
import os
import time

import pytest

from tests.bench.yardstick import EVERY, Paced, Yardstick, dearer, faster, yardstick


def test_a_pace_is_the_mean_of_what_was_noted_meanwhile() -> None:
    noted = Yardstick(samples=[(1.0, 9.0), (2.0, 4.0), (3.0, 6.0), (4.0, 1.0)])

    assert noted.pace(2.0, 3.0) == 5.0
    assert noted.pace(5.0, 9.0) is None
    assert Yardstick().best is None


def test_the_best_is_what_few_samples_exceed() -> None:
    assert Yardstick(samples=[(0.0, float(pace)) for pace in range(100)]).best == 95


def test_rates_and_costs_are_compared_as_if_the_cores_had_been_as_fast() -> None:
    # given half as many a second at half the pace, for twice the CPU time
    assert faster(Paced(250, pace=2), Paced(500, pace=4)) == 1
    assert dearer(Paced(6, pace=2), Paced(3, pace=4)) == 1
    # and what is really slower at the same pace, or at one that is not known
    assert faster(Paced(250, pace=4), Paced(500, pace=4)) == faster(Paced(250), Paced(500, pace=4)) == 0.5
    assert dearer(Paced(6, pace=4), Paced(3)) == 2
    with pytest.raises(ZeroDivisionError):
        faster(Paced(1), Paced(0))


def test_every_core_is_measured_also_when_it_has_work_to_do() -> None:
    busy = [multiprocessing.get_context("spawn").Process(target=spin, args=(20.0,), daemon=True) for _ in range(3)]
    with yardstick() as noted:
        for process in busy:
            process.start()
        deadline, enough = time.monotonic() + 20, 5 * len(os.sched_getaffinity(0))
        while noted.best is None or len(noted.samples) < enough:
            assert time.monotonic() < deadline
            time.sleep(EVERY)
        for process in busy:
            process.terminate()

    assert all(pace > 0 for _, pace in noted.samples)


def spin(seconds: float) -> None:
    """Keep a core busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass

"""The points where services can be struck are there, and strike once."""

import functools
import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.injected.table import POINTS, Point
from tests.faults.points import Points

STORE = "services.booking.store"
PROGRAM = f"""
import {STORE} as store
class Away(store.MongoBookingStore):
    def __init__(self): pass
try:
    Away().add([])
except AttributeError:
    print("passed")
"""


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_each_point_is_where_the_table_says(point: Point) -> None:
    module = importlib.import_module(point.module)
    assert callable(functools.reduce(getattr, point.attribute.split("."), module))


def booking(points: Points) -> "subprocess.CompletedProcess[str]":
    """A process that takes itself for the booking service, and passes `booking.before-insert`."""
    command = [sys.executable, "-c", PROGRAM, "services.booking.service"]
    return subprocess.run(
        command, env={**os.environ, **points.environment}, capture_output=True, text=True, timeout=60, check=False
    )


def test_an_armed_point_kills_once_and_leaves_its_mark(tmp_path: Path) -> None:
    # given a service that could be struck
    points = Points(tmp_path)
    assert booking(points).stdout == "passed\n"
    # when the point is armed
    points.arm("booking.before-insert")
    # then the next process that passes is killed there, and the one after it is not
    assert booking(points).returncode == -signal.SIGKILL
    assert points.struck("booking.before-insert")
    assert booking(points).stdout == "passed\n"


def test_a_point_that_there_is_not_cannot_be_armed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no point writer\.nowhere"):
        Points(tmp_path).arm("writer.nowhere")

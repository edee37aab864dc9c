"""The stack that experiments run on: a folder of its own, services started with the points of `injected/`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from deploy.local.stack import Stack
from tests.faults.points import Points
from tests.reports import STATE

FOLDER = STATE / "faults"
SETTINGS = {"VALET_PROVIDER_TIMEOUT": "5"}
"""Half the usual patience with providers: what a fault makes wait for it waits half as long."""


@contextmanager
def running(folder: Path = FOLDER) -> Iterator[tuple[Stack, Points]]:
    """All of it, started afresh; nothing is left running."""
    points = Points(folder / "points")
    points.forget()
    with injected(points):
        stack = Stack(folder)
        stack.stop(at_once=True)
        try:
            stack.start()
            yield stack, points
        finally:
            stack.stop(at_once=True)


@contextmanager
def injected(points: Points) -> Iterator[None]:
    """Services that are started within can be struck."""
    with mock.patch.dict(os.environ, {**SETTINGS, **points.environment}):
        yield

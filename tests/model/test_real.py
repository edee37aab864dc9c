"""Random lives on the real stack; the end is judged by what was heard, what the store says and what stands in the calendars."""

import os
from collections.abc import Callable
from typing import ClassVar

from deploy.local.stack import Stack
from tests.e2e.world import World
from tests.model.life import Life
from tests.model.machine import TIMEOUT, Lives, how_long, without_shrinking
from tests.model.real import RealLife

KILLS = bool(os.environ.get("VALET_MODEL_KILLS"))
"""Whether services are killed as well; each time costs seconds."""


@TIMEOUT
def test_in_the_end_the_real_calendar_equals_the_real_store(stack: Stack) -> None:
    class Real(Lives):
        begin: ClassVar[Callable[[], Life]] = lambda: RealLife(World(stack), KILLS)

    Real.TestCase.settings = without_shrinking(how_long(examples=2, steps=25))
    Real.TestCase().runTest()

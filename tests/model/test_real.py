"""Random lives on the real stack; the end is judged by what was heard, what the store says and what stands in the calendars."""

from collections.abc import Callable
from typing import ClassVar

import pytest

from deploy.local.stack import Stack
from tests.e2e.world import World
from tests.model.life import Life
from tests.model.machine import Lives, how_long, without_shrinking
from tests.model.real import RealLife


@pytest.mark.timeout(900)
def test_in_the_end_the_real_calendar_equals_the_real_store(stack: Stack) -> None:
    class Real(Lives):
        begin: ClassVar[Callable[[], Life]] = lambda: RealLife(World(stack))

    Real.TestCase.settings = without_shrinking(how_long(examples=3, steps=25))
    Real.TestCase().runTest()

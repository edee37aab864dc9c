"""Random lives in memory: many, quick, and shrunk to the shortest that goes wrong."""

from collections.abc import Callable
from typing import ClassVar

from tests.model.life import Life
from tests.model.machine import TIMEOUT, Lives, how_long
from tests.model.memory import MemoryLife


class InMemory(Lives):
    begin: ClassVar[Callable[[], Life]] = MemoryLife


@TIMEOUT
def test_in_the_end_the_calendar_equals_the_store() -> None:
    InMemory.TestCase.settings = how_long(examples=60, steps=40)
    InMemory.TestCase().runTest()

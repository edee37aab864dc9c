"""Random lives: requests, cancellations, moves, repeats, hosts who edit their calendars, and trouble, in any order."""

import os
from collections.abc import Callable
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from tests.model.life import Life, faults, overlaps

LIVES = os.environ.get("VALET_MODEL_LIVES")
CELLS = st.integers(0, 4)  # few, so that much collides
LENGTHS = st.integers(1, 2)
STEPS = st.lists(st.integers(0, 50), min_size=1, max_size=8)


class Lives(RuleBasedStateMachine):
    """Plays with one life; `begin` makes it."""

    begin: ClassVar[Callable[[], Life]]
    bookings = Bundle("bookings")
    messages = Bundle("messages")

    @initialize()
    def born(self) -> None:
        self.life = type(self).begin()
        self.number = 0

    @rule(target=bookings, host=st.integers(0, 1), cell=CELLS, cells=LENGTHS)
    def someone_requests(self, host: int, cell: int, cells: int) -> str:
        key = self._key("r")
        self.life.request(key, self.life.hosts[host], cell, cells)
        return key

    @rule(target=messages, of=bookings)
    def someone_cancels(self, of: str) -> str:
        key = self._key("c")
        self.life.cancel(key, of)
        return key

    @rule(target=messages, of=bookings, cell=CELLS, cells=LENGTHS)
    def someone_moves(self, of: str, cell: int, cells: int) -> str:
        key = self._key("m")
        self.life.move(key, of, cell, cells)
        return key

    @rule(key=st.one_of(bookings, messages))
    def a_message_comes_again(self, key: str) -> None:
        self.life.again(key)

    @rule(host=st.integers(0, 1), cell=CELLS, cells=LENGTHS)
    def the_host_adds_an_entry(self, host: int, cell: int, cells: int) -> None:
        self.life.host_adds(self.life.hosts[host], cell, cells)

    @rule(of=bookings, cell=CELLS)
    def the_host_moves_an_entry(self, of: str, cell: int) -> None:
        self.life.host_moves(of, cell)

    @rule(of=bookings)
    def the_host_deletes_an_entry(self, of: str) -> None:
        self.life.host_deletes(of)

    @rule(kind=st.integers(0, 9), where=st.integers(0, 9))
    def trouble_comes(self, kind: int, where: int) -> None:
        self.life.trouble(kind, where)

    @rule(steps=STEPS)
    def things_go_on(self, steps: list[int]) -> None:
        self.life.goes_on(steps)

    @rule(target=messages, of=bookings, cell=CELLS, cells=LENGTHS, steps=STEPS)
    def someone_moves_what_was_decided(self, of: str, cell: int, cells: int, steps: list[int]) -> str:
        self.life.goes_on(steps)
        key = self._key("m")
        self.life.move(key, of, cell, cells)
        return key

    @invariant()
    def never_two_at_one_time(self) -> None:
        if hasattr(self, "life"):
            found = overlaps(self.life.standing())
            assert not found, found

    def teardown(self) -> None:
        if hasattr(self, "life"):
            found = faults(self.life.settle())
            assert not found, found

    def _key(self, letter: str) -> str:
        self.number += 1
        return f"{letter}{self.number}"


TIMEOUT = pytest.mark.timeout(0 if LIVES else 600)
"""Seconds; as long as it takes where a number of lives is asked for."""


def how_long(examples: int, steps: int) -> settings:
    """So many lives of so many steps; VALET_MODEL_LIVES asks for another number of lives."""
    return settings(
        max_examples=int(LIVES or examples),
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


def without_shrinking(chosen: settings) -> settings:
    """For lives that take too long to be lived again and again."""
    return settings(chosen, phases=(Phase.explicit, Phase.generate), report_multiple_bugs=False, database=None)

"""Slots made once and picked by bits, against making each anew."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.questions import Slot
from services.availability import labels
from services.availability.bits import CHUNK, Frame

FRAME = Frame(512 * 7000, 3 * CHUNK, 300)


def made(starts: int, frame: Frame, cells: int) -> list[Slot]:
    first, cell = datetime.fromtimestamp(frame.start, UTC), timedelta(seconds=frame.width)
    places = [at for at in range(frame.size) if starts >> at & 1]
    return [Slot(first + at * cell, first + (at + cells) * cell) for at in places]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([FRAME, FRAME._replace(first=512 * 7001), FRAME._replace(width=900)]),
    st.integers(0, FRAME.size - 1),
    st.sampled_from([1, 2, 3, 5, 6, 12, 48]),
    st.integers(1, 2**300),
    st.sampled_from([1, 6, 36, CHUNK, 3 * CHUNK + 1]),
)
def test_slots_are_those_at_the_starts(frame: Frame, low: int, step: int, pattern: int, cells: int) -> None:
    starts = sum(1 << at for n, at in enumerate(range(low, frame.size, step)) if pattern >> n % 300 & 1)

    assert labels.labelled(starts, frame, cells) == made(starts, frame, cells)


@pytest.mark.parametrize("starts", [0, 1, 1 << FRAME.size - 1, FRAME.all])
def test_none_one_and_all(starts: int) -> None:
    assert labels.labelled(starts, FRAME, 6) == made(starts, FRAME, 6)


def test_answers_share_their_slots() -> None:
    one, other = (labels.labelled(0b1001 << shift, FRAME, 6) for shift in (0, 3))

    assert one[1] is other[0]

"""When the demonstration books."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.cli.errors import Trouble
from deploy.demo import times

NOW = datetime(2030, 5, 17, 12, 3, tzinfo=UTC)
BLOCK = times.Block(datetime(2030, 5, 20, 13, 0, tzinfo=UTC))


def test_blocks_are_in_the_future_on_the_grid_and_never_the_same() -> None:
    found = list(itertools.islice(times.blocks(NOW, None), 400))
    assert all(block.start >= NOW + timedelta(days=1) for block in found)
    assert all(block.start.timestamp() % 300 == 0 for block in found)
    assert all(first.end <= second.start for first, second in itertools.pairwise(found))


def test_each_run_takes_a_later_block(tmp_path: Path) -> None:
    taken = [times.take(tmp_path / "demo.json", NOW, lambda block: True) for _ in range(20)]
    assert len({block.start for block in taken}) == 20
    assert taken == sorted(taken, key=lambda block: block.start)


def test_a_block_that_is_not_free_is_passed_over(tmp_path: Path) -> None:
    unfree = list(itertools.islice(times.blocks(NOW, None), 3))
    taken = times.take(tmp_path / "demo.json", NOW, lambda block: block not in unfree)
    assert taken.start > unfree[-1].start


def test_a_spoilt_note_of_the_last_run_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text('{"last": 5}')
    assert times.take(tmp_path / "demo.json", NOW, lambda block: True).start > NOW


def test_no_free_time_at_all_is_trouble(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="no free time"):
        times.take(tmp_path / "demo.json", NOW, lambda block: False)


@pytest.mark.parametrize(
    ("free", "covered"),
    [
        ([(0, 30), (15, 45), (30, 60)], True),
        ([(30, 60), (0, 30)], True),
        ([(0, 30), (45, 60)], False),
        ([(15, 60)], False),
        ([(0, 45)], False),
        ([], False),
    ],
)
def test_free_stretches_must_leave_no_gap(free: list[tuple[int, int]], covered: bool) -> None:
    spans = [(BLOCK.at(start), BLOCK.at(end)) for start, end in free]
    assert times.covered((BLOCK.at(0), BLOCK.at(60)), spans) is covered

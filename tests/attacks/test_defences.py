"""The list of defences is true: each stands in the code once, can be taken out, and every row has one."""

import ast
from pathlib import Path

import pytest

from tests.attacks.defences import DEFENCES, Defence
from tests.attacks.rows import ROWS

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("defence", DEFENCES, ids=lambda defence: f"{defence.row} {defence.what}")
def test_a_defence_stands_where_the_list_says(defence: Defence) -> None:
    whole = (REPOSITORY / defence.file).read_text(encoding="utf-8")
    assert whole.count(defence.old) == 1
    if defence.file.endswith(".py"):
        ast.parse(whole.replace(defence.old, defence.new))  # without it, the program still is one


def test_every_row_has_a_defence() -> None:
    assert ROWS.keys() <= {defence.row for defence in DEFENCES}

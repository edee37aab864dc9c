"""The list of defences is true: each stands once in the code, where the list says that it does."""

import pytest

from tests.attacks.defences import DEFENCES, Defence
from tests.attacks.mutation import REPOSITORY
from tests.attacks.rows import ROWS


@pytest.mark.parametrize("defence", DEFENCES, ids=lambda one: f"{one.row} {one.what}")
def test_it_stands_where_the_list_says(defence: Defence) -> None:
    assert (REPOSITORY / defence.file).read_text(encoding="utf-8").count(defence.old) == 1
    assert defence.row in ROWS

"""The demonstration on a stack that runs already: all as expected, twice, also after the sandbox forgot everything."""

from collections.abc import Callable
from typing import Any

import pytest

from deploy.local.stack import Stack
from deploy.sandbox.client import SandboxAdmin

Valet = Callable[..., Any]
PERSONAL = ("Ada", "Ben", "Cleo", "example.net", "lunch")


@pytest.mark.parametrize("forget", [False, True])
def test_it_ends_well_and_leaves_the_stack_running(forget: bool, stack: Stack, valet: Valet) -> None:
    # given the stack, once with a sandbox that has lost its people and grants
    if forget:
        SandboxAdmin(stack.urls()["sandbox"], stack.env("operator")["VALET_CA_BUNDLE"]).reset()
    before = stack.status()
    # when the demonstration runs without a terminal
    ended = valet("--state", str(stack.layout.root), module="deploy.demo", settings={"ONCE": "1"})
    # then every outcome is as expected, and no title was read
    assert ended.code == 0, ended.out + ended.err
    assert "titles read: none" in ended.out
    assert "every outcome was as expected" in ended.out
    # and what stands was told: a moved entry at its new time, one where it was, and none of a cancelled booking
    lines = [line for line in ended.out.splitlines() if "; booking " in line]
    assert [(line.split()[1], line.rpartition("; ")[2]) for line in lines] == [
        ("1", "booking confirmed"),
        ("1", "booking confirmed"),
        ("0", "booking cancelled"),
    ]
    assert [", moved;" in line for line in lines] == [True, False, False]
    # and its hosts have their hours
    rules = valet("host", "show", "dr-example", "--json").document["rules"]
    assert rules["weekly"]["sun"] == [{"start": "08:00", "end": "18:00"}]
    # and it printed nothing personal, and stopped nothing that it had not started
    assert not any(word in ended.out + ended.err for word in PERSONAL)
    assert stack.status() == before

"""Who silences a check says why, on the same line."""

import re
from pathlib import Path

import pytest

from tests.policy.rendering import REPOSITORY

SILENCED = re.compile(r"# (?:noqa|type: ignore)\b.*")
WITH_REASON = re.compile(r"# (?:noqa: [A-Z0-9, ]+ -|type: ignore\[[a-z, -]+\]  #) \w.+")


@pytest.mark.parametrize("folder", ["libs", "services", "deploy", "k8s", "tests"])
def test_every_silenced_check_has_a_reason(folder: str) -> None:
    found = {
        f"{file.relative_to(REPOSITORY)}:{number}": match[0]
        for file in (REPOSITORY / folder).rglob("*.py")
        if file != Path(__file__)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if (match := SILENCED.search(line))
    }
    assert {place for place, said in found.items() if not WITH_REASON.match(said)} == set()


@pytest.mark.parametrize(
    "line", ["# noqa", "# noqa: E731", "# type: ignore[misc]", "# type: ignore  # so", "# noqa: E731 -"]
)
def test_what_has_none_is_noticed(line: str) -> None:
    match = SILENCED.search(line)
    assert match
    assert not WITH_REASON.match(match[0])

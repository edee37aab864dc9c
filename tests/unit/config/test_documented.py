"""Every setting stands in the operators' table, with its default."""

import re
from pathlib import Path

from libs.config.settings import PREFIX, Settings

README = Path(__file__).parents[3] / "deploy" / "README.md"
ONLY_FOR_THE_COMMAND = {"VALET_PROBES"}


def documented() -> set[str]:
    """The names in the first column; `_REST` after a full name shares some beginning with it."""
    names: set[str] = set()
    for row in re.findall(r"^\| (`VALET_[^|]*) \|", README.read_text(), re.MULTILINE):
        first, *rest = re.findall(r"`(\w+)`", row)
        beginnings = [first[: match.start()] for match in re.finditer("_", first)]
        names |= {first, *(token for token in rest if token.startswith(PREFIX))}
        names |= {beginning + token for beginning in beginnings for token in rest if token.startswith("_")}
    return names


def test_every_setting_is_documented() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert known - documented() == set()


def test_nothing_is_documented_that_is_not_a_setting() -> None:
    full = set(
        re.findall(r"^\| `(VALET_\w+)`", README.read_text()[README.read_text().index("## Settings") :], re.MULTILINE)
    )
    assert full - {PREFIX + name.upper() for name in Settings.model_fields} == ONLY_FOR_THE_COMMAND

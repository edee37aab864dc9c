"""Every `valet` command that a document tells people to type exists, with the options and as many arguments as it is given."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.base import whole

ROOT = Path(__file__).parents[3]
PAGES = [
    ROOT / "README.md",
    *(file for top in ("deploy", "k8s", "libs", "services") for file in sorted((ROOT / top).rglob("*.md"))),
]
VALET: Any = whole()
TYPED = re.compile(r"^\s*(?:\. \S+ && )?(valet .*(?:\\\n.*)*)$", re.MULTILINE)
INLINE = re.compile(r"`(valet [^`]+)`")


def commands(page: Path) -> Iterator[str]:
    """What stands in blocks of shell, and in the middle of a text."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^\s*```sh\n(.*?)```", text, re.MULTILINE | re.DOTALL):
        yield from (line.replace("\\\n", " ") for line in TYPED.findall(block))
    yield from INLINE.findall(text)


def fault(line: str) -> str | None:
    """What of a command does not exist."""
    command, words = VALET, shlex.split(line, comments=True)[1:]
    while words and words[0] in getattr(command, "commands", ()):
        command = command.commands[words.pop(0)]
    if hasattr(command, "commands"):
        own = {name for each in command.params for name in each.opts}
        return None if not words or words[0] in {*own, "--help", "…"} else f"no command {words[0]}"
    options = {name: each for each in command.params if each.param_type_name == "option" for name in each.opts}
    count = 0
    while words:
        word = words.pop(0)
        if word in options:
            words = words if options[word].is_flag else words[1:]
        elif word.startswith("-") and word != "-":
            return None if word == "--json" else f"no option {word}"
        else:
            count += 1
    most = [each.nargs for each in command.params if each.param_type_name == "argument"]
    return f"{count} arguments are too many" if -1 not in most and count > sum(most) else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_tells_to_type_exists(page: Path) -> None:
    wrong = {line: why for line in commands(page) if (why := fault(line))}
    assert wrong == {}


@pytest.mark.parametrize(
    "line",
    [
        "valet forget x",
        "valet --fast",
        "valet keys turn",
        "valet keys rotate --fast",
        "valet erase a b",
        "valet restore --force x",
    ],
)
def test_what_does_not_exist_is_noticed(line: str) -> None:
    assert fault(line)


def test_there_is_something_to_check() -> None:
    found = [line for page in PAGES for line in commands(page)]
    assert {"backup", "restore", "keys", "erase", "erasures", "reconcile"} <= {line.split()[1] for line in found}

"""The help of every command: it shows examples, and each of them is a command line that the command takes."""

import shlex
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from unittest import mock

import pytest

from deploy.cli import main as command_line
from deploy.cli.base import whole
from deploy.cli.main import in_front

ROOT = whole()


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that is no group of commands, by its words."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands(ROOT))


def examples(help: str) -> list[str]:
    """The command lines of the block; a line that ends in a backslash goes on in the next."""
    block = help.partition("Example")[2].partition("\n")[2]
    joined = block.replace("\\\\\n", " ").replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip().startswith("valet ")]


EXAMPLES = [(words, line) for words, command in COMMANDS.items() for line in examples(command.help or "")]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_shows_examples(words: tuple[str, ...]) -> None:
    found = examples(COMMANDS[words].help or "")
    assert found
    assert all(line.split()[1 : 1 + len(words)] == list(words) for line in found)


@pytest.mark.parametrize(("words", "line"), EXAMPLES, ids=[line for _, line in EXAMPLES])
def test_every_example_is_taken(words: tuple[str, ...], line: str) -> None:
    # given the words as a shell would give them, without what the shell itself does with the output, and commands that do nothing
    typed = shlex.split(line.partition(" > ")[0].partition(" < ")[0])[1:]
    taken = mock.Mock(return_value=None)
    with mock.patch.object(ROOT, "callback", None), mock.patch.object(COMMANDS[words], "callback", taken):
        # when they are read
        ROOT.main(in_front(typed), prog_name="valet", standalone_mode=False)
    # then the command has taken them
    assert taken.called


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("prov", "provider"),
        ("provider o", "off"),
        ("provider off g", "google"),
        ("bookings --state c", "cancelled"),
        ("hosts --provider m", "microsoft"),
        ("dead list --service cal", "calendar-writer"),
        ("dead list --reason attempts", "attempts-exhausted"),
        ("connect dr-example --provider g", "google"),
    ],
)
def test_commands_and_values_are_completed(
    shell: str, typed: str, offered: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"valet {typed}"
    monkeypatch.setenv("_VALET_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", words)
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    with suppress(SystemExit):
        command_line.main([])
    assert offered in capsys.readouterr().out

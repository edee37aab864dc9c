"""A command imports what it needs: the glance that is taken at night, help and completion do not wait for what others need."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from deploy.cli.base import Commands, Later, app, whole
from deploy.cli.catalogue import COMMANDS

ROOT = Path(__file__).parents[3]
OTHERS = {
    "structlog",
    "pymongo",
    "bson",
    "requests",
    "urllib3",
    "msal",
    "cryptography",
    "joserfc",
    "boto3",
    "nameko",
    "eventlet",
}
BUS = {"pydantic", "kombu", "amqp", "msgspec", "prometheus_client"}
DOWN = {"VALET_AMQP_URL": "amqps://valet:x@127.0.0.1:9/valet", "VALET_PROBES": "auth=https://127.0.0.1:9"}
CODE = """
import json, sys
from deploy.cli.main import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted(name for name in sys.modules if "." not in name)]), file=sys.stderr)
"""


def imported(*words: str) -> tuple[int, set[str]]:
    """The exit code of the command, and what it has imported until then."""
    command = [sys.executable, "-c", CODE, *words]
    env = {**os.environ, **DOWN, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60)
    code, names = json.loads(done.stderr.splitlines()[-1])
    return code, set(names)


@pytest.mark.parametrize(
    ("words", "code", "needless"),
    [
        (["--help"], 0, OTHERS | BUS),
        (["status", "--patience", "1", "--json"], 1, OTHERS),
    ],
    ids=["help", "status"],
)
def test_what_a_command_does_not_need_is_not_imported(words: list[str], code: int, needless: set[str]) -> None:
    ended, names = imported(*words)
    assert ended == code
    assert names & needless == set()


def test_what_is_needless_for_some_is_imported_by_others() -> None:
    # so that a name misspelt above, or a package that is gone, is noticed
    _, names = imported("doctor", "--patience", "1", "--json")
    assert {"pymongo", "cryptography"} | BUS <= names


@pytest.mark.parametrize("name", COMMANDS)
def test_the_catalogue_says_what_the_command_itself_says(name: str) -> None:
    # given what stands for the command, and the command
    stand_in, command = Later(name, help=COMMANDS[name].does), whole().commands[name]
    # then both have the same line in a list, however wide it is
    assert not isinstance(command, Later)
    assert [stand_in.get_short_help_str(wide) for wide in (30, 45, 200)] == [
        command.get_short_help_str(wide) for wide in (30, 45, 200)
    ]


def test_the_catalogue_is_whole() -> None:
    whole()
    root = typer.main.get_command(app)
    assert isinstance(root, Commands)
    declared = {one.name or one.callback.__name__.replace("_", "-") for one in app.registered_commands if one.callback}
    assert declared | {str(group.name) for group in app.registered_groups} == set(COMMANDS) == set(root.commands)

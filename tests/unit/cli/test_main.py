"""The command line: help, misuse, settings, and one JSON document whatever happens."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.cli import environment, main
from deploy.cli.errors import Trouble
from libs.messaging.errors import BusUnavailable
from libs.messaging.link import Link

BOOK = ["book", "dr-example", "2030-05-17T09:30", "--minutes", "30", "--zone", "America/New_York"]
BOOKING = f"bk_{'a' * 26}"
INVITEE = ["--name", "Ada Example", "--email", "ada@example.com"]


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker."""

    def refused(self: Link, *_: Any, **__: Any) -> None:
        raise BusUnavailable("ConnectionRefusedError")

    monkeypatch.setattr(Link, "open", refused)


@pytest.mark.parametrize("words", [["-h"], ["--help"], ["book", "-h"], ["doctor", "--help"], ["slots", "-h"]])
def test_help_tells_of_examples_or_exit_codes(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(words) == 0
    printed = capsys.readouterr().out
    assert "Exit codes" in printed or "Example" in printed


@pytest.mark.parametrize(
    "words",
    [
        ["frobnicate"],
        ["connect"],
        ["connect", "dr-example", "--provider", "apple"],
        ["connect", "Dr. Example"],
        ["show", "bk_short"],
        ["slots", "dr-example", "--from", "soon"],
        ["slots", "dr-example", "--duration", "0"],
        ["slots", "dr-example", "--zone", "Mars/Base"],
        ["slots", "dr-example", "--from", "2030-05-17", "--to", "2030-05-16"],
        ["slots", "dr-example", "--from", "2030-01-01", "--to", "2030-12-31"],
        [*BOOK],
        [*BOOK, *INVITEE, "--minutes", "many"],
        [*BOOK, *INVITEE, "--wait", "-1"],
        ["slots", "dr-example", "--from", "0001-01-01T00:00+14:00"],
        ["slots", "dr-example", "--from", "9999-12-30"],
        ["slots", "dr-example", "--from", "2030-01-01", "--to", "9999-12-31T23:59-14:00"],
        ["move", BOOKING, "9999-12-31T23:59Z", "--minutes", "600"],
        ["move", BOOKING, "2030-01-01T10:00Z", "--minutes", "99999999999999999"],
        ["book", "dr-example", "2030-05-17T09:30Z", "--minutes", "9999999999999", "--zone", "UTC", *INVITEE],
        ["book", "dr-example", "0001-01-01T00:00", "--minutes", "30", "--zone", "Asia/Tokyo", *INVITEE],
        [*BOOK, "--name", "\udcff", "--email", "ada@example.com"],
        [*BOOK, *INVITEE, "--field", "phone=\udc80"],
        ["--env-file", "/nowhere/at/all", "connect", "dr-example"],
        ["calendars", "dr-example", "--check", "cn_short"],
        ["calendars", "dr-example", "--write", ""],
    ],
)
def test_misuse_is_exit_code_2_with_an_advice(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(words) == 2
    assert "what to do" in capsys.readouterr().err
    assert main.main([*words, "--json"]) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out)["exit_code"] == 2
    assert printed.err == ""


def test_a_name_without_quotes_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([*BOOK, "--name", "Ada", "2030-05-17T10:00", "Secretname", "--email", "ada@example.com"]) == 2
    assert "Secretname" not in capsys.readouterr().err


@pytest.mark.parametrize("words", [["hosts"], ["connect", "dr-example"], [*BOOK, *INVITEE]])
def test_missing_settings_are_named(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([*words, "--json"]) == 1
    assert "VALET_AMQP_URL" in json.loads(capsys.readouterr().out)["error"]["what"]


@pytest.mark.parametrize("words", [["hosts"], ["connect", "dr-example"], ["slots", "dr-example"], [*BOOK, *INVITEE]])
def test_a_bus_that_is_away_is_trouble_and_no_traceback(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given settings whose password must not be shown, and a broker that is away
    monkeypatch.setenv("VALET_AMQP_URL", "amqps://operator:hushhush@localhost:5671/valet")
    # when a command needs it
    code = main.main(words)
    # then it says so and what to do
    printed = capsys.readouterr()
    assert code == 1
    assert "valet doctor" in printed.err
    assert not any(word in printed.err + printed.out for word in ("hushhush", "Traceback", "Ada", "ada@"))


def test_options_of_every_command_may_stand_anywhere() -> None:
    words = ["book", "h", "--json", "--env-file", "x", "--name", "Ada", "-v", "--env-file=y", "--", "--json"]
    assert main.in_front(words) == [
        "--json",
        "--env-file",
        "x",
        "-v",
        "--env-file=y",
        "book",
        "h",
        "--name",
        "Ada",
        "--",
        "--json",
    ]


def test_an_error_of_the_commands_own_is_told_by_kind_and_place_and_not_by_text() -> None:
    try:
        raise KeyError("ada@example.com")
    except KeyError as error:
        trouble = main.unexpected(error)
    assert trouble.what.startswith("KeyError at test_main.py:")
    assert "ada" not in trouble.what


def test_the_local_stacks_file_fills_in_what_the_environment_lacks(tmp_path: Path) -> None:
    # given the file of the local stack and one setting in the environment
    (tmp_path / ".valet").mkdir()
    file = tmp_path / ".valet" / "env"
    file.write_text(
        "# settings\nexport VALET_AMQP_URL='amqps://u:p w@h/v'\nexport VALET_REGION=eu\nexport PATH=/evil\n"
    )
    environ = {"VALET_REGION": "us-east-1"}
    # when the environment is completed
    used = environment.complete(environ, None)
    # then only settings came in, and none was overwritten
    assert used is not None
    assert environ == {"VALET_AMQP_URL": "amqps://u:p w@h/v", "VALET_REGION": "us-east-1"}


def test_the_file_is_left_alone_where_the_environment_names_a_bus(tmp_path: Path) -> None:
    (tmp_path / ".valet").mkdir()
    (tmp_path / ".valet" / "env").write_text("export VALET_REGION=eu\n")
    environ = {"VALET_AMQP_URL": "amqps://h/v"}
    assert environment.complete(environ, None) is None
    assert environ == {"VALET_AMQP_URL": "amqps://h/v"}


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="cannot be read"):
        environment.complete({}, tmp_path / "nothing")


def test_settings_of_a_mapping_do_not_look_at_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALET_RPC_TIMEOUT", "soon")
    monkeypatch.setenv("VALET_REGION", "eu-central-1")
    found = environment.settings_of({"VALET_AMQP_URL": "amqps://h/v", "VALET_MONGO_URL": ""})
    assert (found.rpc_timeout, found.region, found.mongo_url) == (5, "us-east-1", None)


def test_settings_that_are_not_valid_are_named_without_their_values() -> None:
    with pytest.raises(Trouble, match="VALET_AMQP_URL, VALET_RPC_TIMEOUT") as caught:
        environment.settings_of({"VALET_AMQP_URL": "amqp://u:hushhush@h", "VALET_RPC_TIMEOUT": "soon"})
    assert "hushhush" not in str(caught.value)

"""Settings under which Valet must not run: they are refused with one line that says why, and the process ends at once."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from libs.config import settings as settings_module
from libs.config.settings import SettingsError, load
from libs.crypto.errors import KeyringError
from libs.crypto.keyring import Keyring
from libs.testing.keys import INDEX
from tests.attacks.rows import tried

START = (
    "import sys; from libs.config.settings import load_or_exit; load_or_exit('amqp_url', 'mongo_url'); print('started')"
)
GOOD = {
    "VALET_MODE": "production",
    "VALET_AMQP_URL": "amqps://valet-booking:made-up@broker.example/valet",
    "VALET_MONGO_URL": "mongodb://valet-booking:made-up@store.example/valet_booking?tls=true&authSource=admin",
}
SECRET = "made-up"


@pytest.fixture
def good(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment of good settings alone."""
    for name in [name for name in os.environ if name.startswith(("VALET_", "OAUTHLIB_"))]:
        monkeypatch.delenv(name)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def started() -> "subprocess.CompletedProcess[str]":
    """A process that begins as every service does, with the settings of this one."""
    path = os.pathsep.join(filter(None, [str(Path(settings_module.__file__).parents[2]), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-c", START],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def refused(names: str) -> None:
    """They are refused with one line that names what is wrong and shows no secret. (What ends the process is `load_or_exit`, which
    says this line: `test_a_refused_setting_ends_the_process`.)"""
    with pytest.raises(SettingsError) as caught:
        load("amqp_url", "mongo_url")
    (line,) = str(caught.value).splitlines()
    assert names in line
    assert SECRET not in line


@tried("9", ["OAUTHLIB_INSECURE_TRANSPORT", "OAUTHLIB_RELAX_TOKEN_SCOPE"])
def test_the_checks_of_oauth_switched_off(good: pytest.MonkeyPatch, how: str) -> None:
    good.setenv(how, "1")
    refused(how)
    good.setenv(how, "0")  # oauthlib takes any text for yes
    good.setenv("VALET_MODE", "development")
    refused(how)


@tried("9", ["nothing wrong, to know that the experiment works"])
def test_good_settings(good: pytest.MonkeyPatch, how: str) -> None:
    done = started()
    assert (done.returncode, done.stdout) == (0, "started\n")


@tried("9", ["as a process"])
def test_a_refused_setting_ends_the_process(good: pytest.MonkeyPatch, how: str) -> None:
    good.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    done = started()
    assert (done.returncode, done.stdout) == (78, "")
    (line,) = done.stderr.splitlines()
    assert "OAUTHLIB_INSECURE_TRANSPORT" in line
    assert SECRET not in line


WEAK = {
    "guest": ("VALET_AMQP_URL", "amqps://guest:guest@broker.example/valet"),
    "guest with another password": ("VALET_AMQP_URL", "amqps://guest:made-up@broker.example/valet"),
    "nobody at the broker": ("VALET_AMQP_URL", "amqps://broker.example/valet"),
    "the broker in plain text": ("VALET_AMQP_URL", "amqp://valet-booking:made-up@broker.example/valet"),
    "the broker unchecked": ("VALET_AMQP_URL", "amqps://valet-booking:made-up@broker.example/valet?verify=verify_none"),
    "MongoDB without a login": ("VALET_MONGO_URL", "mongodb://store.example/valet_booking?tls=true"),
    "MongoDB with a name alone": ("VALET_MONGO_URL", "mongodb://valet-booking@store.example/valet_booking?tls=true"),
    "MongoDB in plain text": ("VALET_MONGO_URL", "mongodb://u:made-up@store.example/valet_booking"),
    "MongoDB, any certificate": (
        "VALET_MONGO_URL",
        "mongodb://u:made-up@store.example/valet_booking?tls=true&tlsAllowInvalidCertificates=true",
    ),
    "MongoDB, any name": (
        "VALET_MONGO_URL",
        "mongodb://u:made-up@store.example/valet_booking?tls=true&tlsAllowInvalidHostnames=true",
    ),
    "MongoDB, nothing checked": (
        "VALET_MONGO_URL",
        "mongodb://u:made-up@store.example/valet_booking?tls=true&tlsInsecure=true",
    ),
    "another region": ("VALET_REGION", "eu-central-1"),
    "a provider in plain text": ("VALET_GOOGLE_API_URL", "http://www.googleapis.com/calendar/v3"),
}


@tried("20", WEAK)
def test_a_weak_setting_in_production(good: pytest.MonkeyPatch, how: tuple[str, str]) -> None:
    name, value = how
    good.setenv(name, value)
    refused(name)


MODES = {
    "readable by others": 0o604,
    "readable by all": 0o644,
    "writable by the group": 0o620,
    "open": 0o666,
    "executable by others": 0o601,
}


@tried("20", MODES)
def test_a_key_file_that_others_can_read(how: int, tmp_path: Path) -> None:
    file = key_file(tmp_path)
    Keyring.load(file)
    file.chmod(how)
    with pytest.raises(KeyringError) as caught:
        Keyring.load(file)
    assert "chmod" in str(caught.value)


def key_file(folder: Path) -> Path:
    file = folder / "keyring.json"
    text = base64.b64encode(INDEX).decode()
    document: dict[str, Any] = {"format": "valet-keyring-1", "current": "k1", "keys": {"k1": text}, "index": text}
    file.write_text(json.dumps(document))
    file.chmod(0o600)
    return file


SPOILED: dict[str, Callable[[Path], object]] = {
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:-30]),
    "short keys": lambda file: file.write_text(file.read_text().replace("aWlp", "")),
    "binary": lambda file: file.write_bytes(b"\x80\x04made-up"),
}


@tried("20", SPOILED)
def test_a_spoiled_key_file_says_nothing_of_its_keys(how: Callable[[Path], object], tmp_path: Path) -> None:
    file = key_file(tmp_path)
    how(file)
    with pytest.raises(KeyringError) as caught:
        Keyring.load(file)
    assert "aWlp" not in str(caught.value)
    assert caught.value.__cause__ is None

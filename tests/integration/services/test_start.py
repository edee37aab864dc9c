"""A wrong or missing setting stops a service at start with one line that names it, and never shows a value."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.stack import Stack
from libs.mongo.client import connect
from tests.conftest import settings_of

NAMEKO = Path(__file__).parents[3] / ".venv" / "bin" / "nameko"
MODULES = {
    "auth": "services.auth.service",
    "availability": "services.availability.service",
    "booking": "services.booking.service",
    "calendar-writer": "services.calendar_writer.service",
}
Env = dict[str, str]


def without(name: str) -> Callable[[Env], Env]:
    return lambda env: {key: value for key, value in env.items() if key != name}


def with_(name: str, value: str) -> Callable[[Env], Env]:
    return lambda env: {**env, name: value}


FAULTS: dict[str, tuple[str, Callable[[Env], Env], str]] = {
    "no bus": ("booking", without("VALET_AMQP_URL"), "VALET_AMQP_URL missing"),
    "no store": ("availability", without("VALET_MONGO_URL"), "VALET_MONGO_URL missing"),
    "no keys": ("calendar-writer", without("VALET_KEYRING"), "VALET_KEYRING missing"),
    "no client id": ("auth", without("VALET_GOOGLE_CLIENT_ID"), "VALET_GOOGLE_CLIENT_ID missing"),
    "plain bus": (
        "booking",
        with_("VALET_AMQP_URL", "amqp://u:canary@localhost:1"),
        "VALET_AMQP_URL: must be an amqps://",
    ),
    "elsewhere": (
        "booking",
        lambda env: {**env, "VALET_MODE": "production", "VALET_REGION": "eu-canary-1"},
        "VALET_REGION: must be us-east-1",
    ),
    "checks off": ("auth", with_("OAUTHLIB_INSECURE_TRANSPORT", "1"), "OAUTHLIB_INSECURE_TRANSPORT is set"),
}


@pytest.mark.parametrize("case", list(FAULTS))
def test_a_wrong_setting_is_named_in_one_line(servers: Stack, case: str) -> None:
    # given a service with one setting wrong
    service, spoil, line = FAULTS[case]
    env = spoil({**os.environ, **servers.env(service)})
    # when it is started
    done = run(service, env)
    # then it ends at once, with one line that names it
    assert done.returncode == 78
    (told,) = [text for text in done.stderr.splitlines() if "cannot start" in text]
    assert line in told
    assert "canary" not in done.stderr
    assert "Traceback" not in done.stderr


def test_keys_that_others_can_read_are_refused(servers: Stack, tmp_path: Path) -> None:
    # given a key file that everybody can read
    keyring = tmp_path / "keyring.json"
    env = {**os.environ, **servers.env("booking")}
    keyring.write_bytes(Path(env["VALET_KEYRING"]).read_bytes())
    keyring.chmod(0o644)
    # when booking is started with it
    done = run("booking", {**env, "VALET_KEYRING": str(keyring)})
    # then it does not start
    assert done.returncode == 78
    assert "VALET_KEYRING: others can read the key file" in done.stderr


def test_keys_that_the_stored_data_do_not_hang_on_are_refused_by_name(servers: Stack) -> None:
    # given data keys in the store, wrapped by a master key that was lost
    database = connect(settings_of(servers, "booking"), "tests")
    lost = [{"_id": f"lost-{n}", "master": "k-lost", "wrapped": b"blob"} for n in range(2)]
    database["keys"].insert_many(lost)
    try:
        # when booking is started
        done = run("booking", {**os.environ, **servers.env("booking")})
    finally:
        database["keys"].delete_many({"master": "k-lost"})
        database.client.close()
    # then it does not start, and says what is missing
    assert done.returncode == 78
    assert "VALET_KEYRING: the key file lacks master key k-lost (wraps 2 data keys)" in done.stderr


def run(service: str, env: Env) -> "subprocess.CompletedProcess[str]":
    command = [str(NAMEKO), "run", MODULES[service]]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)

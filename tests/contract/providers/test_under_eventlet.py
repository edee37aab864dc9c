"""The clients under eventlet's monkey patch, as nameko runs them, each in a process of its own."""

import os
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from tests.contract.providers.sandbox_rigs import GoogleRig
from tests.faults.relay import Mode, Relay

UNDER_EVENTLET = """
import eventlet; eventlet.monkey_patch()
import sys, time
from datetime import timedelta
from pathlib import Path
from libs.config.settings import Settings
from libs.providers.egress import Door
from libs.providers.errors import Unreachable
from libs.providers.google import GoogleCalendar
from libs.providers.port import Busy, Interval
from tests.contract.providers.rigs import DAY, at, entry
api, ca, token = sys.argv[1:]
settings = Settings(ca_bundle=Path(ca), google_api_url=api, provider_timeout=3, connect_timeout=3)
calendar = GoogleCalendar(Door(settings), settings)
window = Interval(DAY, DAY + timedelta(days=1))
def busy(_):
    try:
        return isinstance(calendar.busy(token, ["primary"], window)["primary"], Busy)
    except Unreachable as error:
        return error.label
began = time.monotonic()
found = list(eventlet.GreenPool(20).imap(busy, range(20)))
took = time.monotonic() - began
calendar.put(token, "primary", entry(at(10), at(11)))
print(found.count(True), found.count("timed-out"), took < 6)
"""


def test_under_eventlets_monkey_patch(google: GoogleRig) -> None:
    google.admin.add_fault("google.freeBusy", "slow-body", count=5)
    google.admin.add_fault("google.freeBusy", "timeout-before", seconds=15, count=5)
    arguments = [google.settings.google_api_url, google.ca, google.token]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", UNDER_EVENTLET, *arguments],
        env={**os.environ, "EVENTLET_NO_GREENDNS": "yes"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["10", "10", "True"], done.stderr
    assert len(google.ours()) == 1


BREAKER_UNDER_EVENTLET = """
import eventlet; eventlet.monkey_patch()
import sys, time
from datetime import timedelta
from pathlib import Path
from libs.config.settings import Settings
from libs.providers.adapters import Guarded
from libs.providers.breaker import Breaker
from libs.providers.egress import Door
from libs.providers.errors import TryLater, Unreachable
from libs.providers.google import GoogleCalendar
from libs.providers.port import Busy, Interval
from tests.contract.providers.rigs import DAY
api, ca, token = sys.argv[1:]
settings = Settings(ca_bundle=Path(ca), google_api_url=api, provider_timeout=3, connect_timeout=3)
breaker = Breaker("google")
calendar = Guarded(GoogleCalendar(Door(settings), settings), lambda _: breaker.call())  # as if each call were another mailbox's
window = Interval(DAY, DAY + timedelta(days=1))
def busy(_):
    try:
        return "read" if isinstance(calendar.busy(token, ["primary"], window)["primary"], Busy) else "unread"
    except TryLater as error:
        return "late" if isinstance(error, Unreachable) else error.label
def many():
    found = list(eventlet.GreenPool(10).imap(busy, range(10)))
    return {label: found.count(label) for label in sorted(set(found))}
print(many(), many())
eventlet.sleep(5.1)
print(many(), many())
"""


def test_the_circuit_breaker_under_eventlets_monkey_patch(google: GoogleRig) -> None:
    # given a provider that lets the first ten calls hang, all of them under way at once
    google.admin.add_fault("google.freeBusy", "timeout-before", seconds=15, count=10)
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            BREAKER_UNDER_EVENTLET,
            google.settings.google_api_url,
            google.ca,
            google.token,
        ],
        env={**os.environ, "EVENTLET_NO_GREENDNS": "yes"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # then the next ten do not leave the house; after the pause one goes ahead as a probe, and then all
    assert done.stdout.splitlines() == [
        "{'late': 10} {'circuit-open': 10}",
        "{'circuit-open': 9, 'read': 1} {'read': 10}",
    ], done.stderr


DRIPPING = """
import eventlet; eventlet.monkey_patch()
import sys, time
from datetime import timedelta
from pathlib import Path
from libs.config.settings import Settings
from libs.providers.egress import Door
from libs.providers.errors import Unreachable
from libs.providers.google import GoogleCalendar
from libs.providers.port import Interval
from tests.contract.providers.rigs import DAY
api, ca, token, warm = sys.argv[1:]
settings = Settings(ca_bundle=Path(ca), google_api_url=api, provider_timeout=2, connect_timeout=1)
calendar = GoogleCalendar(Door(settings), settings)
def busy():
    calendar.busy(token, ["primary"], Interval(DAY, DAY + timedelta(days=1)))
if warm == "warm":
    busy()
print("go", flush=True)
sys.stdin.readline()
began = time.monotonic()
try:
    busy()
    print("answered")
except Unreachable as error:
    print(error.label, round(time.monotonic() - began))
"""


@pytest.mark.parametrize("connected", ["warm", "cold"])
def test_a_wire_that_drips_meets_the_deadline_under_eventlets_monkey_patch(google: GoogleRig, connected: str) -> None:
    # given a client that has a connection already, or has not; each byte of TLS restarts eventlet's own time-out
    target = urlsplit(google.settings.google_api_url)
    assert target.port
    with Relay(target.port, pause=0.2) as relay:
        api = google.settings.google_api_url.replace(str(target.port), str(relay.port))
        with subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", DRIPPING, api, google.ca, google.token, connected],
            env={**os.environ, "EVENTLET_NO_GREENDNS": "yes"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as client:
            assert client.stdout
            assert client.stdout.readline() == "go\n"
            # when the provider's bytes come one by one from now on
            relay.set(Mode.DRIP)
            said, _ = client.communicate("\n", timeout=60)
    # then the call ends at the provider time-out
    assert said.split() == ["timed-out", "2"]

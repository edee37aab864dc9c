"""The canary on real parts: a grant that its person took back is found before a booking needs it, and nothing is asked twice."""

import re
import sys
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
import requests

from deploy.local.stack import Stack
from deploy.sandbox.accounts import Provider
from tests.e2e.test_connections import TOKENS, access, asked, connections, of, until
from tests.e2e.world import Heard, World, hear

EVERY = 4.0
"""Seconds between two proofs of a grant in these tests."""

FOUND_WITHIN = 1.5 * EVERY + 5
"""Seconds from a revocation to `calendar-reconnect-needed`, as services/auth/README.md states it."""


@pytest.fixture(scope="module")
def hurried(servers: Stack) -> Iterator[Stack]:
    """Auth alone of all services, with a canary in a hurry."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VALET_CANARY_SECONDS", str(EVERY))
        servers.stop_part("auth")
        servers.start(["auth"])
    yield servers
    servers.stop_part("auth")  # the next test starts it as it should be


@pytest.fixture
def world(hurried: Stack) -> World:
    """The world around it."""
    return World(hurried)


@pytest.fixture(params=["google", "microsoft"])
def provider(request: pytest.FixtureRequest) -> Provider:
    """Both in turn."""
    found: Provider = request.param
    return found


def waiting(world: World, provider: Provider) -> float:
    """How many connections wait for their host, as Prometheus would read it."""
    page = requests.get(f"{world.stack.urls()['probes-auth']}/metrics", verify=world.ca, timeout=10).text
    found = re.search(rf'^valet_reconnect_needed_connections{{provider="{provider}"}} (\S+)$', page, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_a_revoked_grant_is_found_before_a_booking_needs_it(world: World, names: str, provider: Provider) -> None:
    # given a connected host
    host, heard = f"canary-{provider}-{names}", Heard()
    account = world.connect(host, provider)
    with world.tap() as tap:
        # when the person takes the grant back, and nobody asks anything of the calendar
        world.sandbox.revoke_grant(provider, account)
        began = time.monotonic()
        lost = ("calendar-reconnect-needed", "grant-dead")
        found = hear(tap, heard, lambda h: lost in of(h, host), FOUND_WITHIN)
    # then it is said, in time, once, and the history tells
    seconds = time.monotonic() - began
    sys.stdout.write(
        f"{provider}: reconnect-needed {seconds:.1f} s after the revocation (stated: {FOUND_WITHIN:.0f} s)\n"
    )
    assert found
    assert of(heard, host).count(lost) == 1
    assert access(world, host)["state"] == "reconnect-needed"
    (steps,) = world.ask("auth", "history", host).values()
    assert [(s["state"], s["reason"]) for s in steps] == [
        ("connected", "connected"),
        ("reconnect-needed", "grant-dead"),
    ]
    assert until(lambda: waiting(world, provider) >= 1, 5)


def test_a_provider_in_trouble_kills_no_grant(world: World, names: str, provider: Provider) -> None:
    # given a connected host, and a provider that answers nothing useful
    host, heard = f"canary-{provider}-{names}", Heard()
    account = world.connect(host, provider)
    fault = world.sandbox.add_fault(TOKENS[provider], "status", status=503, account=account)
    before = connections(world, host)[0]["proved_at"]
    with world.tap() as tap:
        # when the canary has asked more than once
        assert until(lambda: len(asked(world, provider, account)) >= 3, 4 * EVERY)
        # then nothing has changed, and it goes on when the trouble is over
        world.sandbox.clear_faults(fault)
        assert until(lambda: connections(world, host)[0]["proved_at"] > before, 3 * EVERY)
        hear(tap, heard, lambda h: False, 0.5)
    assert of(heard, host) == []
    assert access(world, host)["state"] == "connected"


def test_two_replicas_prove_each_grant_once(world: World, names: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # given two replicas and some hosts
    monkeypatch.setenv("VALET_CANARY_SECONDS", str(EVERY))
    world.stack.start(["auth-2"])
    try:
        accounts = [world.connect(f"twice-{n}-{names}", "google") for n in range(4)]
        # when a few rounds have passed
        assert until(lambda: all(len(asked(world, "google", a)) >= 4 for a in accounts), 5 * EVERY + 10)
    finally:
        world.stack.stop_part("auth-2")
    # then no grant was asked about twice within one round
    for account in accounts:
        times = asked(world, "google", account)
        gaps = [(after - before).total_seconds() for before, after in pairwise(times)]
        assert min(gaps) > EVERY * 0.9, gaps

"""The canary on real parts: a grant that its person took back is found before a booking needs it, and nothing is asked twice."""

import re
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import requests

from deploy.local.stack import Stack
from deploy.sandbox.accounts import Provider
from tests.e2e.test_connections import TOKENS, access, asked, connections, of, until
from tests.e2e.world import Heard, World, hear

PROVIDERS: tuple[Provider, ...] = ("google", "microsoft")
EVERY = 2.0
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


def waiting(world: World, provider: Provider) -> float:
    """How many connections wait for their host, as Prometheus would read it."""
    page = requests.get(f"{world.stack.urls()['probes-auth']}/metrics", verify=world.ca, timeout=10).text
    found = re.search(rf'^valet_reconnect_needed_connections{{provider="{provider}"}} (\S+)$', page, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_a_revoked_grant_is_found_before_a_booking_needs_it(world: World, names: str) -> None:
    # given a connected host at each provider
    hosts, heard = {provider: f"canary-{provider}-{names}" for provider in PROVIDERS}, Heard()
    accounts = {provider: world.connect(host, provider) for provider, host in hosts.items()}
    lost = ("calendar-reconnect-needed", "grant-dead")
    with world.tap() as tap:
        # when the people take their grants back, and nobody asks anything of the calendars
        for provider, account in accounts.items():
            world.sandbox.revoke_grant(provider, account)
        began = time.monotonic()
        found = hear(tap, heard, lambda h: all(lost in of(h, host) for host in hosts.values()), FOUND_WITHIN)
    # then it is said, in time, once, and the history tells
    seconds = time.monotonic() - began
    sys.stdout.write(f"reconnect-needed {seconds:.1f} s after the revocation (stated: {FOUND_WITHIN:.0f} s)\n")
    assert found
    for provider, host in hosts.items():
        assert of(heard, host).count(lost) == 1
        assert access(world, host)["state"] == "reconnect-needed"
        (steps,) = world.ask("auth", "history", host).values()
        assert [(s["state"], s["reason"]) for s in steps] == [
            ("connected", "connected"),
            ("reconnect-needed", "grant-dead"),
        ]
        assert until(lambda provider=provider: waiting(world, provider) >= 1, 10)  # type: ignore[misc]  # bound early, on purpose


@pytest.mark.long
def test_a_provider_in_trouble_kills_no_grant(world: World, names: str) -> None:
    # given hosts, and providers that answer nothing useful: they fail, or they do not accept Valet itself any more
    answers: dict[str, dict[str, Any]] = {
        "down": {"status": 503},
        "disowned": {"status": 400, "reason": "invalid_client"},
    }
    heard = Heard()
    for name, answer in answers.items():
        for provider in PROVIDERS:
            account = world.connect(f"{name}-{provider}-{names}", provider)
            world.sandbox.add_fault(TOKENS[provider], "status", account=account, **answer)
    hosts = {f"{name}-{provider}-{names}": provider for name in answers for provider in PROVIDERS}
    before = {host: connections(world, host)[0]["proved_at"] for host in hosts}
    with world.tap() as tap:
        # when the canary has asked each more than once
        for host, provider in hosts.items():
            account = f"{host}@example.com"
            assert until(lambda a=account, p=provider: len(asked(world, p, a)) >= 3, 5 * EVERY), host  # type: ignore[misc]  # bound early, on purpose
        # then nothing has changed, and it goes on when the trouble is over
        world.sandbox.clear_faults()
        for host in hosts:
            assert until(lambda h=host: connections(world, h)[0]["proved_at"] > before[h], 4 * EVERY), host  # type: ignore[misc]  # bound early, on purpose
        hear(tap, heard, lambda h: False, 0.5)
    for host in hosts:
        assert of(heard, host) == []
        assert access(world, host)["state"] == "connected"


@pytest.mark.long
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

"""What happens to a connected calendar, on real parts: taken back, connected again, refreshed once."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from deploy.local.stack import Stack
from deploy.sandbox import browser
from deploy.sandbox.accounts import Provider
from libs.config import clock
from libs.crypto.keyring import Keyring
from libs.crypto.vault import Vault
from libs.messaging.errors import RpcFailed
from libs.mongo.client import connect
from libs.mongo.keys import MongoKeyStore
from libs.providers.adapters import calendars
from libs.providers.egress import Door
from libs.providers.switches import Switches
from libs.testing.outbox import Told
from services.auth import handlers
from services.auth.desk import Desk
from services.auth.domain import State
from services.auth.google import GoogleOAuth
from services.auth.microsoft import MicrosoftOAuth
from services.auth.oauth import OAuth
from services.auth.safe import Safe
from services.auth.store import MongoAuthStore
from services.auth.switches import MongoSwitchBook
from services.auth.switching import Switchboard
from services.auth.tokens import MARGIN
from tests.conftest import settings_of
from tests.e2e.world import Heard, World, hear

TOKENS = {"google": "google.token", "microsoft": "microsoft.token"}


@pytest.fixture
def world(servers: Stack) -> World:
    """Auth alone of all services."""
    servers.start(["auth"])
    return World(servers)


@pytest.fixture(params=["google", "microsoft"])
def provider(request: pytest.FixtureRequest) -> Provider:
    """Both in turn."""
    found: Provider = request.param
    return found


def access(world: World, host: str, rejected: dict[str, int] | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = world.ask("auth", "access_tokens", [host], rejected)[host]
    return answer


def connections(world: World, host: str) -> list[dict[str, Any]]:
    (found,) = (row for row in world.ask("auth", "hosts") if row["host"] == host)
    return list(found["connections"])


def asked(world: World, provider: str, account: str) -> list[datetime]:
    """When the sandbox was asked for tokens of an account."""
    calls = world.sandbox.requests(TOKENS[provider])
    return [datetime.fromisoformat(call["at"]) for call in calls if call["account"] == account]


def until(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def of(heard: Heard, host: str) -> list[tuple[str, str]]:
    return [(e["type"], e["data"].get("reason", "")) for e in heard.events if e["data"].get("host") == host]


def desk(stack: Stack) -> Desk:
    """What one replica of auth works with, made of real parts in this process."""
    settings = settings_of(stack, "auth")
    database, door = connect(settings, "auth"), Door(settings)
    oauth: dict[Provider, OAuth] = {"google": GoogleOAuth(door, settings), "microsoft": MicrosoftOAuth(door, settings)}
    assert settings.keyring is not None
    masters = Keyring.load(settings.keyring)
    return Desk(
        store=MongoAuthStore(database),
        relay=Told(),
        host_relay=Told(),
        safe=Safe(Vault(masters, MongoKeyStore(database))),
        oauth=oauth,
        refreshing=oauth,
        calendars=calendars(settings),
        switchboard=Switchboard(MongoSwitchBook(database), Told(), clock.now, Switches()),
        public_url="https://valet.example",
        link_key=masters.derive("host-link"),
        account_key=masters.derive("account-index"),
        link_seconds=60,
        patience=10,
        clock=clock.now,
        sleep=time.sleep,
    )


def test_twenty_replicas_refresh_once(world: World, names: str, provider: Provider) -> None:
    # given a token that has to be replaced, and twenty replicas that do not know of each other
    host = f"twenty-{provider}-{names}"
    account = world.connect(host, provider)
    (row,) = access(world, host)["calendars"]
    rejected = {row["connection"]: row["version"]}
    desks = [desk(world.stack) for _ in range(20)]
    before, together = len(asked(world, provider, account)), threading.Barrier(20)

    def ask(replica: Desk) -> str:
        together.wait(30)
        answer = handlers.access_tokens([host], rejected, replica)[host]
        return str(answer["calendars"][0]["token"])

    # when all are asked for it at once
    with ThreadPoolExecutor(20) as pool:
        tokens = set(pool.map(ask, desks))
    # then one has refreshed it, and all hand out the same
    assert len(asked(world, provider, account)) - before == 1
    assert len(tokens) == 1
    assert tokens != {row["token"]}


def test_what_a_killed_replica_had_begun_is_finished_by_the_next(world: World, names: str) -> None:
    # given a refresh that hangs, and a revocation that hangs
    refreshing, leaving, heard = f"killed-{names}", f"cut-off-{names}", Heard()
    account, other = world.connect(refreshing, "google"), world.connect(leaving, "google")
    (row,) = access(world, refreshing)["calendars"]
    rejected = {row["connection"]: row["version"]}
    world.sandbox.add_fault("google.token", "timeout-before", count=1, seconds=30, account=account)
    world.sandbox.add_fault("google.revoke", "timeout-before", count=1, seconds=30, account=other)
    before = len(asked(world, "google", account))
    hanging = [
        threading.Thread(target=lambda: _no_matter(lambda: access(world, refreshing, rejected))),
        threading.Thread(target=lambda: _no_matter(lambda: world.ask("auth", "disconnect", leaving))),
    ]
    for one in hanging:
        one.start()
    assert until(lambda: bool(_leased(world.stack, row["connection"])), 5)
    assert until(lambda: connections(world, leaving)[0]["state"] == State.DISCONNECTING.value, 5)
    assert access(world, leaving)["calendars"] == []
    # when the replica is killed in the middle of both
    over = ("calendar-disconnected", "disconnected-by-host")
    with world.tap() as tap:
        world.stack.kill("auth")
        world.stack.start(["auth"])
        # then the lease ends by itself, and the next one refreshes
        lease = settings_of(world.stack, "auth").rpc_timeout * 0.7 + MARGIN
        assert until(lambda: _token(world, refreshing, rejected) not in (None, row["token"]), lease + 10)
        assert len(asked(world, "google", account)) - before <= 2
        # and what was disconnecting is finished, revocation included, and told once
        assert hear(tap, heard, lambda h: over in of(h, leaving), 45)
    assert of(heard, leaving).count(over) == 1
    assert connections(world, leaving)[0]["state"] == "disconnected"
    assert len([r for r in world.sandbox.requests("google.revoke") if r["status"] == 200]) >= 1
    for one in hanging:
        one.join(30)


def _token(world: World, host: str, rejected: dict[str, int]) -> str | None:
    token: str | None = access(world, host, rejected)["calendars"][0]["token"]
    return token


def _leased(stack: Stack, connection: str) -> Any:
    return desk(stack).store.documents.find_one({"_id": connection, "lease": {"$exists": True}})  # type: ignore[attr-defined]  # MongoDB's


def _no_matter(work: Callable[[], Any]) -> None:
    with suppress(Exception):  # whoever asks a process that is killed gets no answer
        work()


def test_connecting_again_heals_the_same_connection(world: World, names: str, provider: Provider) -> None:
    # given a grant that died
    host, heard = f"again-{provider}-{names}", Heard()
    account = world.connect(host, provider)
    (before,) = access(world, host)["calendars"]
    world.sandbox.revoke_grant(provider, account)
    assert access(world, host, {before["connection"]: before["version"]})["state"] == "reconnect-needed"
    # when the host connects the same account again
    with world.tap() as tap:
        world.connect(host, provider)
        healed = ("calendar-connected", "reconnected")
        assert hear(tap, heard, lambda h: healed in of(h, host), 10)
    # then it is the same connection, and it works
    (after,) = access(world, host)["calendars"]
    assert after["connection"] == before["connection"]
    assert after["token"]
    assert len(connections(world, host)) == 1


def test_another_account_is_a_second_connection_and_the_dead_one_stays_visible(world: World, names: str) -> None:
    # given a grant that died
    host = f"other-{names}"
    account = world.connect(host, "google")
    (dead,) = access(world, host)["calendars"]
    world.sandbox.revoke_grant("google", account)
    access(world, host, {dead["connection"]: dead["version"]})
    # when the host connects another account
    world.sandbox.create_account("google", f"second-{names}@example.com")
    url = world.ask("auth", "connect_link", host, "google")["url"]
    page = browser.approve(url, f"second-{names}@example.com", world.ca)
    # then the page and the list say that the old one still stands in the way
    assert "has not worked" in page.text
    assert [c["state"] for c in connections(world, host)] == ["reconnect-needed", "connected"]
    assert access(world, host)["state"] == "reconnect-needed"
    # until it is disconnected
    world.ask("auth", "disconnect", host, dead["connection"])
    assert access(world, host)["state"] == "connected"
    assert [c["state"] for c in connections(world, host)] == ["disconnected", "connected"]


def test_a_host_takes_access_back_on_the_page(world: World, names: str) -> None:
    # given a host with a calendar at each provider
    host, heard = f"leaving-{names}", Heard()
    world.connect(host, "google")
    world.connect(host, "microsoft")
    url = world.ask("auth", "disconnect_link", host)["url"]
    # when they open the link, nothing happens yet
    page = requests.get(url, verify=world.ca, timeout=10)
    assert page.status_code == 200
    assert access(world, host)["state"] == "connected"
    # and when they press the button
    with world.tap() as tap:
        done = requests.post(url, {"connection": "all"}, verify=world.ca, timeout=10)
        over = ("calendar-disconnected", "disconnected-by-host")
        assert hear(tap, heard, lambda h: of(h, host).count(over) == 2, 10)
    # then the grants are gone, at Google too, and the page says what is left
    assert "Google has confirmed" in done.text
    assert "myapps.microsoft.com" in done.text
    assert len(world.sandbox.requests("google.revoke")) >= 1
    assert access(world, host) == {"state": "disconnected", "calendars": [], "why": None}
    assert world.ask("auth", "disconnect", host)["connections"] == []


def test_several_calendars_of_both_providers(world: World, names: str) -> None:
    # given a host with a second calendar at each provider
    host, heard = f"several-{names}", Heard()
    second = {}
    providers: tuple[Provider, ...] = ("google", "microsoft")
    for provider in providers:
        world.sandbox.create_account(provider, f"{host}@example.com", calendars=["Second"])
        world.connect(host, provider)
        found = world.sandbox.account(provider, f"{host}@example.com")["calendars"]
        second[provider] = next(c["id"] for c in found if c["name"] == "Second")
    first = {row["provider"]: row["connection"] for row in access(world, host)["calendars"]}
    assert [r["written"] for r in world.ask("auth", "calendars", host)] == [True, False]
    # when the operator names four calendars, one of which is neither checked nor written
    wanted = [
        {"connection": first["google"], "calendar": "primary", "checked": False, "written": False},
        {"connection": first["google"], "calendar": second["google"], "checked": True, "written": False},
        {"connection": first["microsoft"], "calendar": "primary", "checked": True, "written": False},
        {"connection": first["microsoft"], "calendar": second["microsoft"], "checked": False, "written": True},
    ]
    with world.tap() as tap:
        assert world.ask("auth", "set_calendars", host, wanted) == wanted
        assert hear(tap, heard, lambda h: ("host-calendars-changed", "") in of(h, host), 10)
    # then that is what is handed out, and each can be read with its token
    rows = access(world, host)["calendars"]
    assert [(r["calendar"], r["checked"], r["written"]) for r in rows] == [
        (second["google"], True, False),
        ("primary", True, False),
        (second["microsoft"], False, True),
    ]
    # and one that is not there is not accepted, and changes nothing
    missing = {**wanted[1], "calendar": "nobodys@group.calendar.google.com"}
    with pytest.raises(RpcFailed) as refused:
        world.ask("auth", "set_calendars", host, [*wanted, missing])
    assert first["google"] in str(refused.value.detail)
    assert "calendar-not-found" in str(refused.value.detail)
    assert world.ask("auth", "calendars", host) == wanted


def test_a_link_for_one_purpose_does_not_serve_the_other(world: World, names: str) -> None:
    host = f"links-{names}"
    world.connect(host, "google")
    connecting = world.ask("auth", "connect_link", host)["url"]
    leaving = world.ask("auth", "disconnect_link", host)["url"]
    for wrong in (connecting.replace("/connect/", "/disconnect/"), leaving.replace("/disconnect/", "/connect/")):
        assert requests.get(wrong, verify=world.ca, timeout=10).status_code == 404
    assert (
        requests.post(connecting.replace("/connect/", "/disconnect/"), verify=world.ca, timeout=10).status_code == 404
    )
    assert access(world, host)["state"] == "connected"


def test_the_proof_is_as_old_as_the_list_says(world: World, names: str) -> None:
    host = f"proof-{names}"
    world.connect(host, "google")
    (row,) = connections(world, host)
    assert clock.now() - datetime.fromisoformat(row["proved_at"]) < timedelta(minutes=1)

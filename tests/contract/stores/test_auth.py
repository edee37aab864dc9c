"""What auth's store promises: links and flows serve once, an account has one connection, and a refresh one owner."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from libs.mongo.outbox import Pending
from libs.testing.clock import START
from services.auth.domain import Connection, Flow, Link, State, new_connection_id
from services.auth.store import AccountTaken, AuthStore, Lease, MongoAuthStore
from tests.contract.stores.conftest import KINDS, MEMORY
from tests.unit.auth.doubles import MemoryStore

EVENT = Pending("made-up", "calendar-connected", START, b"{}")
LATER = START + timedelta(minutes=30)


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, mongo: Any) -> AuthStore:
    if request.param == MEMORY:
        return MemoryStore()
    made = MongoAuthStore(mongo("auth"))
    made.ensure_indexes()
    return made


def connection(host: str = "dr-example", account: str | None = "digest") -> Connection:
    return Connection(
        id=new_connection_id(),
        host=host,
        provider="google",
        state=State.CONNECTED,
        made=START,
        since=START,
        version=1,
        account=account,
        expires_at=LATER,
        sealed=b"sealed",
    )


def test_a_link_serves_once(store: AuthStore) -> None:
    link = Link("link", "dr-example", None, LATER)
    store.invite("dr-example", link, START)

    assert store.hosts() == ["dr-example"]
    assert store.hosts(["somebody-else"]) == []
    assert store.link("link") == link
    assert at_once(lambda: store.consume_link("link")) == 1
    assert store.link("link") is None


def test_a_flow_is_found_by_its_own_browser_and_provider_once(store: AuthStore) -> None:
    flow = Flow("state", "google", "browser", "link", "dr-example", LATER, b"sealed")
    store.add_flow(flow)

    assert store.take_flow("state", "google", "another-browser") is None
    assert store.take_flow("state", "microsoft", "browser") is None
    assert at_once(lambda: store.take_flow("state", "google", "browser") == flow) == 1


def test_an_account_has_one_connection(store: AuthStore) -> None:
    first = connection()
    store.insert(first, EVENT)

    with pytest.raises(AccountTaken):
        store.insert(connection(host="ms-sample"), EVENT)
    assert store.by_account("digest") == first
    assert list(store.connections(["dr-example", "ms-sample"])) == [first]


def test_connections_without_an_account_do_not_collide(store: AuthStore) -> None:
    store.insert(connection(account=None), EVENT)
    store.insert(connection(account=None), EVENT)

    assert len(store.connections()) == 2


def test_what_is_written_is_read_back_equal(store: AuthStore) -> None:
    made = connection()
    store.insert(made, EVENT)
    ended = made.without_grant(State.DISCONNECTED, LATER)

    assert store.change(ended, was=1, event=EVENT)
    assert store.connection(made.id) == ended
    assert store.by_account("digest") is None


def test_a_change_from_an_old_version_is_refused(store: AuthStore) -> None:
    made = connection()
    store.insert(made, EVENT)
    newer = made.with_tokens(b"newer", LATER)

    assert at_once(lambda: store.change(newer, was=1)) == 1
    assert store.connection(made.id) == newer


def test_a_refresh_has_one_owner(store: AuthStore) -> None:
    made = connection()
    store.insert(made, EVENT)
    leases = iter([Lease(f"lease-{n}", LATER) for n in range(12)])

    assert at_once(lambda: store.lease(made.id, 1, next(leases), START)) == 1


def test_a_lease_that_ran_out_can_be_taken_and_fences_its_old_owner(store: AuthStore) -> None:
    made = connection()
    store.insert(made, EVENT)
    assert store.lease(made.id, 1, Lease("slow", START + timedelta(seconds=5)), START)

    assert not store.lease(made.id, 1, Lease("eager", LATER), START)
    assert store.lease(made.id, 1, Lease("next", LATER), START + timedelta(seconds=6))
    newer = made.with_tokens(b"newer", LATER)
    assert not store.change(newer, was=1, lease="slow")
    assert store.change(replace(newer, sealed=b"of the next"), was=1, lease="next")
    current = store.connection(made.id)
    assert current is not None
    assert current.sealed == b"of the next"


def test_a_released_lease_is_free_again(store: AuthStore) -> None:
    made = connection()
    store.insert(made, EVENT)
    assert store.lease(made.id, 1, Lease("mine", LATER), START)

    store.release(made.id, "somebody-else's")
    assert not store.lease(made.id, 1, Lease("other", LATER), START)
    store.release(made.id, "mine")
    assert store.lease(made.id, 1, Lease("other", LATER), START)


def at_once(attempt: Callable[[], bool]) -> int:
    """How many of twelve attempts at once succeed."""
    with ThreadPoolExecutor(6) as pool:
        return sum(pool.map(lambda _: attempt(), range(12)))

"""What auth's store promises: links and flows serve once, an account has one connection, and a refresh one owner."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from libs.contracts.reasons import Reason
from libs.mongo.outbox import MongoOutbox, Pending
from libs.testing.clock import START
from services.auth.choices import Choice, Chosen
from services.auth.domain import MOST_STEPS, Connection, Flow, Revocation, State, Step, new_connection_id
from services.auth.links import Link
from services.auth.outgoing import Note
from services.auth.store import AccountTaken, AuthStore, Lease, MongoAuthStore
from services.auth.switches import MongoSwitchBook, Switch, SwitchBook
from tests.contract.stores.conftest import KINDS, MEMORY
from tests.unit.auth.doubles import MemoryStore, MemorySwitches

EVENT = Pending("made-up", "calendar-connected", START, b"{}")
NOTE = Note(Step(State.CONNECTED, START, Reason.CONNECTED), (EVENT,))
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
    store.add_link(link)

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
    store.insert(first, NOTE)

    with pytest.raises(AccountTaken):
        store.insert(connection(host="ms-sample"), NOTE)
    assert store.by_account("digest") == first
    assert list(store.connections(["dr-example", "ms-sample"])) == [first]


def test_connections_without_an_account_do_not_collide(store: AuthStore) -> None:
    store.insert(connection(account=None), NOTE)
    store.insert(connection(account=None), NOTE)

    assert len(store.connections()) == 2


def test_what_is_written_is_read_back_equal(store: AuthStore) -> None:
    made = connection()
    store.insert(made, NOTE)
    ended = made.without_grant(State.DISCONNECTED, LATER)

    assert store.change(ended, was=1, note=NOTE)
    assert store.connection(made.id) == ended
    assert store.by_account("digest") is None


def test_a_change_from_an_old_version_is_refused(store: AuthStore) -> None:
    made = connection()
    store.insert(made, NOTE)
    newer = made.with_tokens(b"newer", LATER, START)

    assert at_once(lambda: store.change(newer, was=1)) == 1
    assert store.connection(made.id) == newer


def test_a_refresh_has_one_owner(store: AuthStore) -> None:
    made = connection()
    store.insert(made, NOTE)
    leases = iter([Lease(f"lease-{n}", LATER) for n in range(12)])

    assert at_once(lambda: store.lease(made.id, 1, next(leases), START)) == 1


def test_a_lease_that_ran_out_can_be_taken_and_fences_its_old_owner(store: AuthStore) -> None:
    made = connection()
    store.insert(made, NOTE)
    assert store.lease(made.id, 1, Lease("slow", START + timedelta(seconds=5)), START)

    assert not store.lease(made.id, 1, Lease("eager", LATER), START)
    assert store.lease(made.id, 1, Lease("next", LATER), START + timedelta(seconds=6))
    newer = made.with_tokens(b"newer", LATER, START)
    assert not store.change(newer, was=1, lease="slow")
    assert store.change(replace(newer, sealed=b"of the next"), was=1, lease="next")
    current = store.connection(made.id)
    assert current is not None
    assert current.sealed == b"of the next"


def test_a_released_lease_is_free_again(store: AuthStore) -> None:
    made = connection()
    store.insert(made, NOTE)
    assert store.lease(made.id, 1, Lease("mine", LATER), START)

    store.release(made.id, "somebody-else's")
    assert not store.lease(made.id, 1, Lease("other", LATER), START)
    store.release(made.id, "mine")
    assert store.lease(made.id, 1, Lease("other", LATER), START)


def test_a_host_is_invited_once_and_its_choice_moves_on_by_one(store: AuthStore) -> None:
    store.invite("dr-example", START)
    store.invite("ms-sample", START)
    first = Chosen(1, (Choice("cn_a", "primary", True, True),), ("cn_a",))
    second = Chosen(2, (Choice("cn_b", "primary", False, True), Choice("cn_a")), ("cn_a", "cn_b"))

    assert store.chosen() == {"dr-example": Chosen(), "ms-sample": Chosen()}
    assert not store.choose("nobody", first, EVENT)
    assert not store.choose("dr-example", second, EVENT)
    assert at_once(lambda: store.choose("dr-example", first, EVENT)) == 1
    assert at_once(lambda: store.choose("dr-example", second, EVENT)) == 1
    store.invite("dr-example", LATER)
    assert store.chosen(["dr-example", "nobody"]) == {"dr-example": second}


def test_the_history_grows_with_each_change_that_counts_and_is_bounded(store: AuthStore) -> None:
    made = connection()
    store.insert(made, NOTE)
    for number in range(MOST_STEPS + 5):
        step = Step(State.RECONNECT_NEEDED, START + timedelta(minutes=number), Reason.GRANT_DEAD)
        assert store.change(replace(made, version=made.version + 1), made.version, Note(step))
        made = replace(made, version=made.version + 1)
    refused = Note(Step(State.DISCONNECTED, START, Reason.DISCONNECTED_BY_HOST))

    assert not store.change(replace(made, version=9000), 1, refused)
    assert store.change(made.with_tokens(b"newer", LATER, LATER), made.version)
    steps = store.history("dr-example")[made.id]
    assert len(steps) == MOST_STEPS
    assert (steps[0].at, steps[-1].at) == (START + timedelta(minutes=5), START + timedelta(minutes=MOST_STEPS + 4))
    assert store.history("ms-sample") == {}


def test_the_longest_unproved_are_found_first_and_not_just_tried_ones(store: AuthStore) -> None:
    def proved(minutes: int, **changes: Any) -> Connection:
        made = connection(account=f"digest-{minutes}")
        made = replace(made, proved_at=START + timedelta(minutes=minutes), **changes)
        store.insert(made, NOTE)
        return made

    young, old, older = proved(30), proved(10), proved(5)
    other = proved(7, provider="microsoft")
    proved(1, state=State.RECONNECT_NEEDED, provider="microsoft")
    since, untried = START + timedelta(minutes=20), START + timedelta(minutes=40)

    assert [c.id for c in store.unproved(["google"], since, untried, 9)] == [older.id, old.id]
    assert [c.id for c in store.unproved(["google", "microsoft"], since, untried, 2)] == [older.id, other.id]
    assert young.id not in {c.id for c in store.unproved(["google", "microsoft"], since, untried, 9)}
    assert store.lease(older.id, 1, Lease("mine", untried), untried)
    store.release(older.id, "mine")
    assert [c.id for c in store.unproved(["google"], since, untried, 9)] == [old.id]
    assert [c.id for c in store.unproved(["google"], since, untried + timedelta(seconds=1), 9)] == [older.id, old.id]
    counts = {(c.provider, c.state): (c.number, c.oldest) for c in store.census()}
    assert counts == {
        ("google", State.CONNECTED): (3, older.proved_at),
        ("microsoft", State.CONNECTED): (1, other.proved_at),
        ("microsoft", State.RECONNECT_NEEDED): (1, START + timedelta(minutes=1)),
    }


def test_what_is_being_disconnected_is_found_after_a_while(store: AuthStore) -> None:
    made = connection()
    store.insert(made, NOTE)
    store.insert(connection(account="another"), NOTE)
    gone = made.leaving(b"sealed", LATER)
    assert store.change(gone, 1, NOTE)

    assert store.leaving(LATER) == []
    assert store.leaving(LATER + timedelta(seconds=1)) == [gone]
    assert store.change(gone.with_end_told(Revocation.NOT_REACHED), 2)
    told = store.connection(made.id)
    assert told is not None
    assert (told.revoked, told.sealed, told.account) == (Revocation.NOT_REACHED, None, "digest")


def test_events_are_written_with_what_they_tell_of(mongo: Any) -> None:
    database = mongo("auth")
    store = MongoAuthStore(database)
    store.ensure_indexes()
    made = connection()
    store.insert(made, NOTE)
    more = Pending("more", "host-calendars-changed", START, b"{}")
    store.change(made.with_tokens(b"newer", LATER, START), 1, Note(NOTE.step, (replace(EVENT, id="second"), more)))
    store.invite("dr-example", START)
    store.choose("dr-example", Chosen(1), replace(EVENT, id="chosen"))

    found = MongoOutbox(store.documents).waiting(LATER, timedelta(0), 9)
    assert {id: [p.id for p in some] for id, some in found.items()} == {made.id: ["made-up", "second", "more"]}
    found = MongoOutbox(store.hosts).waiting(LATER, timedelta(0), 9)
    assert {id: [p.id for p in some] for id, some in found.items()} == {"dr-example": ["chosen"]}


def at_once(attempt: Callable[[], bool]) -> int:
    """How many of twelve attempts at once succeed."""
    with ThreadPoolExecutor(6) as pool:
        return sum(pool.map(lambda _: attempt(), range(12)))


class TestSwitches:
    """The switches of the providers: of two operators who set one at the same time, one comes first."""

    @pytest.fixture(params=KINDS)
    def book(self, request: pytest.FixtureRequest, mongo: Any) -> SwitchBook:
        return MemorySwitches() if request.param == MEMORY else MongoSwitchBook(mongo("auth"))

    def test_nothing_stands_at_first(self, book: SwitchBook) -> None:
        assert book.standing() == []

    def test_what_was_put_stands(self, book: SwitchBook) -> None:
        off = Switch("microsoft", False, 1, START, "a made-up incident")
        on = Switch("google", True, 2, LATER)
        assert book.put(off, EVENT)
        assert book.put(Switch("google", False, 1, START, "another"), EVENT)
        assert book.put(on, EVENT)
        assert book.standing() == [on, off]

    def test_only_the_next_version_is_taken(self, book: SwitchBook) -> None:
        switch = Switch("google", False, 1, START, "why")
        assert not book.put(replace(switch, version=2), EVENT)
        assert at_once(lambda: book.put(switch, EVENT)) == 1
        assert at_once(lambda: book.put(replace(switch, on=True, version=2), EVENT)) == 1
        assert not book.put(replace(switch, version=2), EVENT)
        assert [found.on for found in book.standing()] == [True]


def test_a_switch_is_written_together_with_its_event(mongo: Any) -> None:
    book = MongoSwitchBook(mongo("auth"))
    book.put(Switch("google", False, 1, START, "why"), EVENT)
    book.put(Switch("google", True, 2, LATER), replace(EVENT, id="second"))
    waiting = MongoOutbox(book.documents).waiting(LATER, timedelta(0), 10)
    assert [pending.id for pending in waiting["google"]] == ["made-up", "second"]

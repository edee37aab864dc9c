"""How a connection ends, and that it ends whatever happens on the way."""

from collections.abc import Callable

import pytest

from libs.mongo.errors import StoreUnavailable
from libs.providers.errors import GrantDead
from services.auth import disconnecting, handlers
from services.auth.domain import Connection, Revocation, State
from services.auth.endings import Ended
from tests.unit.auth.doubles import World, world
from tests.unit.auth.test_connecting import connect


class Killed(BaseException):
    """What no `except Exception` catches: the process is gone."""


@pytest.fixture
def at() -> World:
    return world()


def only(at: World) -> Connection:
    (connection,) = at.store.kept.values()
    return connection


def rows(at: World, connection: str | None = None, host: str = "dr-example") -> list[dict[str, object]]:
    answer = handlers.disconnect(host, connection, at.desk)
    return list(answer["connections"])


def test_one_of_two_connections(at: World) -> None:
    first = connect(at, provider="google")
    second = connect(at, provider="microsoft")
    (gone,) = rows(at, second.id)
    assert gone["connection"] == second.id
    access = handlers.access_tokens(["dr-example"], None, at.desk)["dr-example"]
    assert (access["state"], [c["connection"] for c in access["calendars"]]) == ("connected", [first.id])


def test_the_whole_host(at: World) -> None:
    made = {connect(at, provider=provider).id for provider in ("google", "microsoft")}
    assert {row["connection"] for row in rows(at)} == made
    assert handlers.access_tokens(["dr-example"], None, at.desk)["dr-example"]["state"] == "disconnected"
    assert [fact[0] for fact in at.told.facts()[2:]] == ["calendar-disconnected"] * 2


def test_microsoft_has_no_revocation_and_the_answer_says_where_to_go(at: World) -> None:
    connect(at, provider="microsoft")
    (gone,) = rows(at)
    assert (gone["revoked"], gone["revocation"]) == (False, "not-offered")
    assert gone["remove_at"] == ["https://myapps.microsoft.com", "https://account.live.com/consent/Manage"]


def test_google_out_of_reach_does_not_keep_anything_alive(at: World) -> None:
    made = connect(at)
    at.google.revocation = Revocation.NOT_REACHED
    (gone,) = rows(at)
    assert (gone["revocation"], gone["remove_at"]) == ("not-reached", ["https://myaccount.google.com/connections"])
    assert made.id not in at.keys.kept
    assert only(at).state is State.DISCONNECTED


def test_a_dead_grant_can_be_disconnected(at: World) -> None:
    made = connect(at)
    at.clock.sleep(3600)
    at.google.trouble = [GrantDead("invalid-grant")]
    handlers.access_tokens(["dr-example"], None, at.desk)
    (gone,) = rows(at)
    assert gone["revocation"] == "nothing-left"
    assert made.id not in at.keys.kept


def test_tokens_that_do_not_open_do_not_keep_a_connection_from_ending(at: World) -> None:
    connect(at)
    at.keys.kept.clear()
    at.desk.safe._vault._cache.clear()
    (gone,) = rows(at)
    assert gone["revocation"] == "nothing-left"
    assert only(at).state is State.DISCONNECTED


def test_again_changes_nothing_and_says_the_same(at: World) -> None:
    made = connect(at)
    first = rows(at, made.id)
    told, stands = list(at.told.events), only(at)
    assert rows(at, made.id) == first
    assert rows(at) == []
    assert (at.told.events, only(at), at.google.revoked) == (told, stands, ["refresh-1"])


@pytest.mark.parametrize("connection", ["cn_nobodys", "", {"$ne": None}, 5])
def test_a_connection_of_somebody_else_is_as_unknown_as_one_that_is_none(at: World, connection: object) -> None:
    other = connect(at, "dr-other")
    for wanted in (connection, other.id):
        with pytest.raises(handlers.BadQuestion, match=r"^connection: one of this host's"):
            handlers.disconnect("dr-example", wanted, at.desk)
    assert only(at).state is State.CONNECTED


def killing(at: World, moment: str) -> Callable[[], None]:
    """Have the process die at that moment; what is returned heals it."""
    change, destroy, revoke = at.store.change, at.desk.safe._vault.destroy, at.google.revoke

    def dies(*_: object) -> None:
        raise Killed

    def heal() -> None:
        at.store.change = change  # type: ignore[method-assign]  # as it was
        at.desk.safe._vault.destroy = destroy  # type: ignore[method-assign]  # as it was
        at.google.revoke = revoke  # type: ignore[method-assign]  # as it was

    def dies_at_write(number: int) -> Callable[..., bool]:
        written = iter(range(9))

        def write(*args: object) -> bool:
            if next(written) == number:
                raise Killed
            return change(*args)  # type: ignore[arg-type]  # handed through

        return write

    match moment:
        case "before anything" | "before the revocation is noted" | "before the end is written":
            number = ["before anything", "before the revocation is noted", "before the end is written"].index(moment)
            at.store.change = dies_at_write(number)  # type: ignore[method-assign]  # broken on purpose
        case "before the revocation":
            at.google.revoke = dies  # type: ignore[method-assign,assignment]  # broken on purpose
        case "before the key is destroyed":
            at.desk.safe._vault.destroy = dies  # type: ignore[method-assign,assignment]  # broken on purpose
    return heal


MOMENTS = [
    "before the revocation",
    "before the revocation is noted",
    "before the key is destroyed",
    "before the end is written",
]


@pytest.mark.parametrize("moment", ["before anything", *MOMENTS])
def test_killed_on_the_way_and_asked_again(at: World, moment: str) -> None:
    made = connect(at)
    heal = killing(at, moment)
    with pytest.raises(Killed):
        rows(at)
    heal()
    rows(at)
    assert_over(at, made)


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_on_the_way_and_finished_by_the_sweep(at: World, moment: str) -> None:
    made = connect(at)
    heal = killing(at, moment)
    with pytest.raises(Killed):
        rows(at)
    heal()
    # what was begun is out of use from its first step on
    assert handlers.access_tokens(["dr-example"], None, at.desk)["dr-example"]["calendars"] == []
    assert disconnecting.resume(at.desk) == 0  # whoever began may still be at it
    at.clock.sleep(21)
    assert disconnecting.resume(at.desk) == 1
    assert disconnecting.resume(at.desk) == 0
    assert_over(at, made)


def assert_over(at: World, made: Connection) -> None:
    assert (only(at).state, only(at).sealed, only(at).account) == (State.DISCONNECTED, None, None)
    assert made.id not in at.keys.kept
    assert at.google.revoked[0] == "refresh-1"
    assert [fact[0] for fact in at.told.facts()] == ["calendar-connected", "calendar-disconnected"]
    states = [step["state"] for step in handlers.history("dr-example", at.desk)[made.id]]
    assert states == ["connected", "disconnecting", "disconnected"]


def test_a_store_that_goes_away_leaves_it_to_the_next_sweep(at: World) -> None:
    connect(at)
    heal = killing(at, "before the revocation")
    with pytest.raises(Killed):
        rows(at)
    heal()
    at.clock.sleep(21)
    at.store.away = True
    with pytest.raises(StoreUnavailable):
        disconnecting.resume(at.desk)
    at.store.away = False
    assert disconnecting.resume(at.desk) == 1


def test_connecting_waits_until_the_end_is_over(at: World) -> None:
    # given a disconnection that was cut off
    connect(at)
    heal = killing(at, "before the revocation")
    with pytest.raises(Killed):
        rows(at)
    heal()
    # when the host connects the same account again, it is told to come back in a minute
    with pytest.raises(Ended, match=r"^unavailable$"):
        connect(at)
    # and then it is a connection of its own
    at.clock.sleep(21)
    disconnecting.resume(at.desk)
    assert connect(at).state is State.CONNECTED
    assert len(at.store.kept) == 2


def test_a_refresh_under_way_does_not_bring_it_back(at: World) -> None:
    connect(at)
    at.clock.sleep(3600)
    original = at.google.refresh

    def slow(token: str) -> object:
        rows(at)
        return original(token)

    at.google.refresh = slow  # type: ignore[method-assign,assignment]  # the host disconnects meanwhile
    access = handlers.access_tokens(["dr-example"], None, at.desk)["dr-example"]
    assert access["calendars"] == []
    assert only(at).state is State.DISCONNECTED

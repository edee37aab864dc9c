"""Access tokens: refreshed in time, once, and honestly missing where none can be had."""

import threading
import time
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from libs.contracts.questions import HostAccess
from libs.mongo.errors import StoreUnavailable
from libs.providers.errors import GrantDead, TryLater, Unreachable
from services.auth import handlers
from services.auth.domain import Connection, State
from services.auth.store import Lease
from tests.unit.auth.doubles import World, another_replica, world
from tests.unit.auth.test_connecting import connect


@pytest.fixture
def at() -> World:
    return world()


def ask(at: World, *hosts: str, rejected: object = None) -> dict[str, HostAccess]:
    answer = handlers.access_tokens(list(hosts), rejected, at.desk)
    return msgspec.convert(answer, dict[str, HostAccess])


def only(at: World) -> Connection:
    (connection,) = at.store.kept.values()
    return connection


def test_who_nobody_invited_is_unknown(at: World) -> None:
    assert ask(at, "dr-example") == {"dr-example": HostAccess(state="unknown")}


def test_a_token_that_is_good_is_handed_out_as_it_is(at: World) -> None:
    made = connect(at)
    access = ask(at, "dr-example")["dr-example"]
    assert (access.state, access.why) == ("connected", None)
    (calendar,) = access.calendars
    assert (calendar.connection, calendar.provider, calendar.calendar) == (made.id, "google", "primary")
    assert (calendar.token, calendar.checked, calendar.written) == ("access-1-0", True, True)
    assert calendar.expires_at == (at.clock() + timedelta(hours=1)).timestamp()
    assert at.google.refreshed == []


def test_a_token_about_to_end_is_refreshed_and_kept(at: World) -> None:
    connect(at)
    at.clock.sleep(3600 - 60)
    for _ in range(2):
        assert ask(at, "dr-example")["dr-example"].calendars[0].token == "access-1-1"
    assert at.google.refreshed == ["refresh-1"]
    assert only(at).version == 2


def test_a_rotated_refresh_token_replaces_the_old_one(at: World) -> None:
    at.google.rotates = True
    connect(at)
    for _ in range(2):
        at.clock.sleep(3600)
        ask(at, "dr-example")
    assert at.google.refreshed == ["refresh-1", "rotated-1"]


def test_a_token_that_was_not_accepted_is_not_given_again(at: World) -> None:
    made = connect(at)
    rejected = {made.id: made.version}
    assert ask(at, "dr-example", rejected=rejected)["dr-example"].calendars[0].token == "access-1-1"
    # Somebody else complains of the same old token: it is replaced already.
    assert ask(at, "dr-example", rejected=rejected)["dr-example"].calendars[0].token == "access-1-1"
    assert len(at.google.refreshed) == 1


@pytest.mark.parametrize("trouble", [Unreachable("timed-out"), TryLater("oauth-invalid-client", 300)])
def test_a_provider_that_is_away_leaves_the_calendar_unknown_and_the_host_connected(
    at: World, trouble: TryLater
) -> None:
    connect(at)
    at.clock.sleep(3600)
    at.google.trouble = [trouble]
    access = ask(at, "dr-example")["dr-example"]
    assert (access.state, access.why) == ("connected", "provider-unavailable")
    assert access.calendars[0].token is None
    assert at.store.leases == {}
    assert ask(at, "dr-example")["dr-example"].calendars[0].token == "access-1-2"


def test_while_the_provider_is_away_a_token_serves_to_its_end(at: World) -> None:
    connect(at)
    at.clock.sleep(3600 - 60)
    at.google.trouble = [Unreachable("timed-out")]
    assert ask(at, "dr-example")["dr-example"].calendars[0].token == "access-1-0"


def test_a_dead_grant_needs_the_host_and_is_told_once(at: World) -> None:
    connect(at)
    at.clock.sleep(3600)
    at.google.trouble = [GrantDead("invalid-grant")]
    for _ in range(2):
        access = ask(at, "dr-example")["dr-example"]
        assert (access.state, access.why) == ("reconnect-needed", "reconnect-needed")
        assert [c.token for c in access.calendars] == [None]
    assert at.told.facts()[1:] == [("calendar-reconnect-needed", "dr-example", "grant-dead")]
    assert len(at.google.refreshed) == 1
    assert only(at).sealed is None


def test_connecting_again_heals_a_dead_grant(at: World) -> None:
    made = connect(at)
    at.clock.sleep(3600)
    at.google.trouble = [GrantDead("invalid-grant")]
    ask(at, "dr-example")
    assert connect(at).id == made.id
    assert ask(at, "dr-example")["dr-example"].state == "connected"


def test_invalid_grant_for_a_token_that_was_replaced_meanwhile_kills_nothing(at: World) -> None:
    connect(at)
    at.clock.sleep(3600)

    class Reconnecting(list[Unreachable]):
        """The host connects again while the provider judges the old token."""

        def pop(self, _: object = 0) -> Unreachable:
            self.clear()
            connect(at)
            raise GrantDead("invalid-grant")

    at.google.trouble = Reconnecting([Unreachable("unused")])  # type: ignore[assignment]  # see above
    at.google.exchanged.clear()
    original = at.google.finish

    def finish(*args: object) -> object:
        kept, at.google.trouble = at.google.trouble, []
        try:
            return original(*args)  # type: ignore[arg-type]  # handed through
        finally:
            at.google.trouble = kept

    at.google.finish = finish  # type: ignore[method-assign,assignment]  # the exchange itself goes well
    access = ask(at, "dr-example")["dr-example"]
    assert access.state == "connected"
    assert access.calendars[0].token is not None
    assert [fact[0] for fact in at.told.facts()] == ["calendar-connected", "calendar-connected"]


def test_many_replicas_refresh_once(at: World) -> None:
    connect(at)
    at.clock.sleep(3600)
    desks = [replace(another_replica(at), sleep=time.sleep) for _ in range(8)]
    found: list[str | None] = []

    def work(number: int) -> None:
        answer = handlers.access_tokens(["dr-example"], None, desks[number])
        found.append(answer["dr-example"]["calendars"][0]["token"])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == ["access-1-1"] * 8
    assert at.google.refreshed == ["refresh-1"]


def test_a_lease_left_by_a_crash_ends(at: World) -> None:
    made = connect(at)
    at.clock.sleep(3600)
    at.store.leases[made.id] = Lease("gone", at.clock() + timedelta(seconds=8))
    assert ask(at, "dr-example")["dr-example"].why == "provider-unavailable"  # waited 3 s, and gave up
    at.clock.sleep(6)
    assert ask(at, "dr-example")["dr-example"].calendars[0].token == "access-1-1"


def test_whoever_lost_the_lease_cannot_overwrite(at: World) -> None:
    made = connect(at)
    at.clock.sleep(3600)
    original = at.google.refresh

    def slow(token: str) -> object:
        answer = original(token)
        at.store.leases[made.id] = Lease("another", at.clock() + timedelta(seconds=9))
        return answer

    at.google.refresh = slow  # type: ignore[method-assign,assignment]  # the lease is lost under way
    before = only(at)
    ask(at, "dr-example")
    assert only(at) == before


def test_tokens_rolled_back_or_moved_do_not_open(at: World) -> None:
    connect(at)
    old = only(at)
    at.clock.sleep(3600)
    ask(at, "dr-example")
    newer = only(at)
    at.store.kept[newer.id] = replace(newer, sealed=old.sealed)
    access = ask(at, "dr-example")["dr-example"]
    assert access.calendars[0].token is None


def test_two_connections_are_both_checked_and_one_is_written(at: World) -> None:
    first = connect(at, provider="google")
    at.clock.sleep(1)
    connect(at, provider="microsoft")
    access = ask(at, "dr-example")["dr-example"]
    assert sorted((c.provider, c.checked, c.written) for c in access.calendars) == [
        ("google", True, True),
        ("microsoft", True, False),
    ]
    at.clock.sleep(10)
    connect(at, provider="google")  # again: still the older of the two
    written = [c.connection for c in ask(at, "dr-example")["dr-example"].calendars if c.written]
    assert written == [first.id]


def test_one_dead_connection_makes_the_host_unknown(at: World) -> None:
    connect(at, provider="google")
    connect(at, provider="microsoft")
    at.clock.sleep(3600)
    at.microsoft.trouble = [GrantDead("invalid-grant")]
    access = ask(at, "dr-example")["dr-example"]
    assert access.state == "reconnect-needed"
    assert {c.provider: c.token for c in access.calendars} == {"google": "access-1-1", "microsoft": None}


def test_one_hosts_trouble_is_not_anothers(at: World) -> None:
    connect(at, "dr-example", "google")
    connect(at, "dr-other", "microsoft")
    at.clock.sleep(3600)
    at.google.trouble = [Unreachable("timed-out")]
    access = ask(at, "dr-example", "dr-other", "nobody")
    assert (access["dr-example"].why, access["dr-other"].why, access["nobody"].state) == (
        "provider-unavailable",
        None,
        "unknown",
    )


def test_a_store_that_is_away_is_said_so(at: World) -> None:
    connect(at)
    at.store.away = True
    with pytest.raises(StoreUnavailable):
        ask(at, "dr-example")


@pytest.mark.parametrize("hosts", [None, "dr-example", [{"$ne": None}], ["A"], ["x"] * 1001])
def test_a_question_that_is_none(at: World, hosts: object) -> None:
    with pytest.raises(handlers.BadQuestion, match=r"^hosts"):
        handlers.access_tokens(hosts, None, at.desk)


def test_disconnecting_revokes_destroys_and_tells(at: World) -> None:
    made = connect(at)
    answer = handlers.disconnect("dr-example", None, at.desk)
    (gone,) = answer["connections"]
    assert (gone["connection"], gone["provider"], gone["revoked"], gone["remove_at"]) == (made.id, "google", True, [])
    assert at.google.revoked == ["refresh-1"]
    assert made.id not in at.keys.kept
    assert (only(at).state, only(at).sealed, only(at).account) == (State.DISCONNECTED, None, None)
    assert at.told.facts()[-1] == ("calendar-disconnected", "dr-example", "disconnected-by-host")
    assert ask(at, "dr-example")["dr-example"] == HostAccess(state="disconnected")
    assert handlers.disconnect("dr-example", None, at.desk)["connections"] == []


def test_after_disconnecting_another_host_may_have_the_account(at: World) -> None:
    connect(at, "dr-example")
    handlers.disconnect("dr-example", None, at.desk)
    assert connect(at, "dr-other").host == "dr-other"


def test_the_list_for_operators_holds_nothing_personal(at: World) -> None:
    made = connect(at)
    handlers.connect_link("dr-waiting", None, at.desk)
    listed = handlers.hosts(at.desk)
    assert [(h["host"], h["state"]) for h in listed] == [("dr-example", "connected"), ("dr-waiting", "invited")]
    assert listed[0]["connections"][0] == {
        "connection": made.id,
        "provider": "google",
        "state": "connected",
        "since": at.clock().isoformat(),
        "proved_at": at.clock().isoformat(),
        "calendars": [{"calendar": "primary", "checked": True, "written": True}],
    }

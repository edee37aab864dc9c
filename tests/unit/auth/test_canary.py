"""The canary: asks about grants before a booking has to, and only as often as it must."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from libs.providers.errors import GrantDead, Unreachable
from libs.telemetry import metrics
from services.auth.canary import MOST, SILENT, Canary
from services.auth.domain import Connection, State
from services.auth.oauth import Fresh
from services.auth.store import Count, Lease
from tests.unit.auth.doubles import World, another_replica, world
from tests.unit.auth.test_connecting import connect

EVERY = 600.0


@pytest.fixture
def at() -> World:
    return world()


def many(at: World, number: int) -> list[Connection]:
    """That many hosts, connected a second apart."""
    made = []
    for n in range(number):
        at.google.identity = f"person-{n}"
        made.append(connect(at, f"host-{n}"))
        at.clock.sleep(1)
    return made


def test_a_grant_proved_lately_is_left_alone(at: World) -> None:
    connect(at)
    at.clock.sleep(EVERY - 1)
    assert Canary(at.desk, EVERY).tick() == 0
    assert at.google.refreshed == []


def test_a_grant_not_proved_for_long_is_asked_about_and_then_left_alone(at: World) -> None:
    made = connect(at)
    at.clock.sleep(EVERY + 1)
    canary = Canary(at.desk, EVERY)
    canary.tick()
    canary.tick()
    assert at.google.refreshed == ["refresh-1"]
    assert at.store.kept[made.id].proved_at == at.clock()
    assert len(at.told.events) == 1


def test_a_dead_grant_is_found_and_told_at_once(at: World) -> None:
    made = connect(at)
    at.clock.sleep(EVERY + 1)
    at.google.trouble = [GrantDead("invalid-grant")]
    canary = Canary(at.desk, EVERY)
    assert canary.tick() == 1
    assert at.told.facts()[-1] == ("calendar-reconnect-needed", "dr-example", "grant-dead")
    assert at.store.kept[made.id].state is State.RECONNECT_NEEDED
    at.clock.sleep(EVERY + 1)
    assert canary.tick() == 0  # there is nothing left to ask about
    assert metrics.RECONNECTS_NEEDED.labels("google")._value.get() == 1


def test_a_provider_in_trouble_changes_nothing_and_is_asked_again_later(at: World) -> None:
    made = connect(at)
    at.clock.sleep(EVERY + 1)
    at.google.trouble = [Unreachable("timed-out")]
    canary = Canary(at.desk, EVERY)
    before = at.store.kept[made.id]
    canary.tick()
    assert (at.store.kept[made.id], at.store.leases) == (before, {})
    canary.tick()
    assert len(at.google.refreshed) == 1  # not again at once
    at.clock.sleep(121)
    canary.tick()
    assert len(at.google.refreshed) == 2
    assert at.store.kept[made.id].proved_at == at.clock()


def test_one_provider_in_trouble_does_not_hide_the_others_dead_grants(at: World) -> None:
    many(at, 3)
    dead = connect(at, "dr-other", "microsoft")
    at.clock.sleep(EVERY + 10)
    at.google.trouble = [Unreachable("timed-out")] * 9
    at.microsoft.trouble = [GrantDead("invalid-grant")]
    canary = Canary(at.desk, EVERY)
    for _ in range(4):
        at.clock.sleep(1)
        canary.tick()
    assert at.store.kept[dead.id].state is State.RECONNECT_NEEDED


def test_the_longest_unproved_goes_first(at: World) -> None:
    made = many(at, 3)
    at.clock.sleep(EVERY + 10)
    canary = Canary(at.desk, EVERY)
    for _ in range(2):
        canary.tick()
    proved = [at.store.kept[c.id].proved_at == at.clock() for c in made]
    assert proved == [True, True, False]


def test_after_a_long_stop_the_overdue_are_spread_over_half_a_period(at: World) -> None:
    # given far more overdue grants than steady work would bring
    many(at, 60)
    at.clock.sleep(10 * EVERY)
    canary = Canary(at.desk, 60)
    # when it begins again, each tick asks about a few
    asked = []
    while len(at.google.refreshed) < 60:
        before = len(at.google.refreshed)
        canary.tick()
        asked.append(len(at.google.refreshed) - before)
        at.clock.sleep(1)
    assert max(asked) == 2
    assert len(asked) == 30
    # and never more than so many, however many there are
    for connection in list(at.store.kept.values()):
        at.store.kept[connection.id] = replace(connection, proved_at=at.clock() - timedelta(days=1))
    at.store.tried.clear()
    before = len(at.google.refreshed)
    Canary(at.desk, 1).tick()
    assert len(at.google.refreshed) - before == MOST


def test_two_replicas_ask_once(at: World) -> None:
    made = connect(at)
    at.clock.sleep(EVERY + 1)
    one, two = Canary(at.desk, EVERY), Canary(another_replica(at), EVERY)
    one.tick()
    two.tick()
    assert len(at.google.refreshed) == 1
    # and while the other has the lease, this one does not wait for it
    at.clock.sleep(EVERY + 1)
    at.store.leases[made.id] = Lease("of-the-other", at.clock() + timedelta(seconds=8))
    before = at.clock()
    one.tick()
    assert (len(at.google.refreshed), at.clock()) == (1, before)


def test_all_are_counted_every_few_seconds_only(at: World, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(at)
    counted: list[int] = []
    census = at.store.census

    def counting() -> Sequence[Count]:
        counted.append(1)
        return census()

    monkeypatch.setattr(at.store, "census", counting)
    canary = Canary(at.desk, EVERY)
    for _ in range(20):
        canary.tick()
        at.clock.sleep(1)
    assert len(counted) == 4


def test_ages_are_measured(at: World) -> None:
    connect(at)
    at.clock.sleep(100)
    Canary(at.desk, EVERY).tick()
    assert metrics.OLDEST_PROOF.labels("google")._value.get() == 100
    assert metrics.OLDEST_PROOF.labels("microsoft")._value.get() == 0
    assert metrics.RECONNECTS_NEEDED.labels("google")._value.get() == 0


def test_one_that_could_not_be_proved_does_not_stand_in_the_way_of_others(at: World) -> None:
    many(at, 2)
    at.clock.sleep(10)
    at.google.trouble = [Unreachable("timed-out")]
    canary = Canary(at.desk, 2)
    canary.tick()
    assert len(at.google.refreshed) == 2  # the first failed, the second did not
    canary.tick()
    assert len(at.google.refreshed) == 2  # and the first waits for its next turn


def test_grants_that_cannot_be_told_of_do_not_hide_others(at: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # given several grants that fail each time, for reasons of their own, and that were proved before all others
    made = many(at, 9)
    bad = {at.desk.safe.open_tokens(made[n]).refresh for n in range(4)}
    refresh = at.google.refresh

    def stumbling(token: str) -> Fresh:
        if token in bad:
            raise Unreachable("oauth-500")
        return refresh(token)

    monkeypatch.setattr(at.google, "refresh", stumbling)
    canary = Canary(at.desk, EVERY)
    at.clock.sleep(EVERY)
    # when half a period passes
    for _ in range(300):
        canary.tick()
        at.clock.sleep(1.02)
    # then all others are proved, and those are still taken for alive
    for connection in made[4:]:
        proved_at = at.store.kept[connection.id].proved_at
        assert proved_at is not None
        assert at.clock() - proved_at < timedelta(seconds=EVERY)
    assert {c.state for c in at.store.kept.values()} == {State.CONNECTED}


def test_a_provider_that_can_tell_nothing_is_left_alone_for_a_while(at: World) -> None:
    many(at, 9)
    at.clock.sleep(EVERY + 10)
    at.google.trouble = [Unreachable("timed-out")] * 99
    canary = Canary(at.desk, EVERY)
    for _ in range(9):
        canary.tick()
    assert len(at.google.refreshed) == SILENT
    at.clock.sleep(61)
    for _ in range(9):
        canary.tick()
    assert len(at.google.refreshed) == 2 * SILENT

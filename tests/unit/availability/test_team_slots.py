"""Slots of several hosts: when all are free, or whose turn it is."""

import pytest

from libs.contracts.questions import TeamSlots
from libs.contracts.reasons import Reason
from libs.mongo.errors import StoreUnavailable
from libs.providers.errors import Unreachable
from libs.testing.events import HOUR, SOON, held, incoming
from services.availability.desk import BadQuestion
from services.availability.handlers import note_bookings
from services.availability.questions import MOST_HOSTS, Mode, find_team_slots, wanted
from tests.unit.availability.doubles import LIMITS, World, world

ONE, TWO, THREE = "dr-one", "dr-two", "dr-three"


def team(*hosts: str) -> World:
    made = world()
    for host in hosts or (ONE, TWO):
        made.connect(host)
    return made


def find(made: World, mode: Mode, *hosts: str, hours: float = 2) -> TeamSlots:
    ask = wanted(SOON, SOON + hours * HOUR, 60, LIMITS)
    return find_team_slots(hosts or (ONE, TWO), mode, ask, made.desk)


def busy(made: World, host: str, from_: float, to: float) -> None:
    made.google.add_outside(f"google-of-{host}", SOON + from_ * HOUR, SOON + to * HOUR)


def offered(answer: TeamSlots) -> dict[float, list[str]]:
    """Hours after SOON, and who."""
    return {(slot.start - SOON) / HOUR: slot.hosts for slot in answer.slots}


def test_all_means_that_every_host_is_free() -> None:
    made = team()
    busy(made, ONE, 0, 0.5)
    busy(made, TWO, 1.75, 2)

    assert offered(find(made, "all")) == {0.5: [ONE, TWO], 0.75: [ONE, TWO]}


def test_any_means_that_somebody_is_free() -> None:
    made = team()
    busy(made, ONE, 0, 1)
    busy(made, TWO, 1, 2)

    assert offered(find(made, "any")) == {0: [TWO], 1: [ONE]}


def test_with_any_the_one_booked_least_comes_first() -> None:
    made = team()
    far = [held(f"n{n}", SOON + n * 24 * HOUR, host=ONE) for n in range(3, 6)]
    note_bookings(
        [incoming(hold, time=made.clock()) for hold in [*far, held("one", SOON + 9 * HOUR, host=TWO)]], made.desk
    )

    assert set(map(tuple, offered(find(made, "any")).values())) == {(TWO,)}


def test_bookings_long_ago_or_far_ahead_do_not_count() -> None:
    made = team()
    far = [held(f"n{n}", SOON + (40 + n) * 24 * HOUR, host=TWO) for n in range(5)]
    note_bookings(
        [incoming(hold, time=made.clock()) for hold in [*far, held("one", SOON + 9 * HOUR, host=ONE)]], made.desk
    )

    assert set(map(tuple, offered(find(made, "any")).values())) == {(TWO,)}


@pytest.mark.parametrize("trouble", ["unreadable", "unknown", "disconnected"])
def test_one_of_whom_it_is_not_known(trouble: str) -> None:
    made = team()
    if trouble == "unreadable":
        made.google.unreadable(f"google-of-{TWO}")
    elif trouble == "unknown":
        del made.grants.hosts[TWO]
    else:
        made.grants.set_state(TWO, "disconnected")
    why = {"unreadable": "calendar-unreadable", "unknown": "unknown-host", "disconnected": "host-not-connected"}[
        trouble
    ]

    everybody, anybody = find(made, "all"), find(made, "any")
    assert everybody.slots == []
    assert set(map(tuple, offered(anybody).values())) == {(ONE,)}
    for answer in (everybody, anybody):
        assert {host: evidence.why for host, evidence in answer.hosts.items()} == {ONE: None, TWO: why}
        assert [c.complete for c in answer.hosts[ONE].calendars] == [True]


def test_without_auth_there_is_no_slot_and_it_says_why() -> None:
    made = team()
    made.grants.away = True

    answer = find(made, "any")
    assert answer.slots == []
    assert {evidence.why for evidence in answer.hosts.values()} == {Reason.SERVICE_UNAVAILABLE}


def test_each_host_keeps_to_rules_of_its_own() -> None:
    made = team()
    made.rules.arrange(ONE, weekly={"tue": [{"start": "10:00", "end": "11:00"}]})
    made.rules.arrange(TWO, durations_minutes=[30])

    answer = find(made, "any")
    assert offered(answer) == {1: [ONE]}
    assert answer.hosts[TWO].why == Reason.DURATION_NOT_OFFERED


def test_auth_is_asked_once_for_all() -> None:
    made = team(ONE, TWO, THREE)
    find(made, "all", ONE, TWO, THREE)

    assert made.grants.asked == [[ONE, TWO, THREE]]


def test_a_host_named_twice_is_one_host() -> None:
    made = team()

    assert offered(find(made, "all", ONE, ONE, TWO))[0] == [ONE, TWO]


@pytest.mark.parametrize("count", [0, MOST_HOSTS + 1])
def test_too_few_or_too_many(count: int) -> None:
    ask = wanted(SOON, SOON + HOUR, 60, LIMITS)

    with pytest.raises(BadQuestion, match="1 to 100 hosts"):
        find_team_slots([f"dr-{n}" for n in range(count)], "all", ask, world().desk)


@pytest.mark.parametrize("mode", ["all", "any"])
def test_an_answer_that_would_be_too_large_is_refused_with_what_to_do(mode: Mode) -> None:
    hosts = [f"dr-with-a-rather-long-name-{n}" for n in range(MOST_HOSTS)]
    made = team(*hosts)
    for host in hosts:
        made.rules.arrange(host, step_minutes=5)

    with pytest.raises(BadQuestion, match="ask for a shorter time, or for fewer hosts"):
        find(made, mode, *hosts, hours=62 * 24)


def test_without_counts_the_answer_is_still_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made = team()

    def away(*_: object) -> None:
        raise StoreUnavailable("made-up outage between two questions")

    monkeypatch.setattr(made.agenda, "counts", away)
    assert len(find(made, "any").slots) == 5


def test_a_provider_in_trouble_for_one_host_says_which() -> None:
    made = team()
    made.google.fail("busy", Unreachable("timeout"))

    answer = find(made, "any")
    assert [evidence.calendars[0].why for evidence in answer.hosts.values()] == ["timeout", None]

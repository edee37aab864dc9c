"""Host rules are looked up and set: checked, versioned, and told of."""

from typing import Any

import pytest

from libs.contracts.questions import HostRules, Hours, StandingRules
from libs.mongo.outbox import Pending
from libs.testing.events import HOST
from services.availability.desk import BadQuestion, NotNow
from services.availability.hostrules import TRIES, host_rules, set_host_rules
from tests.contract.events.published import schema_accepts
from tests.unit.availability.doubles import World, world

GIVEN: dict[str, Any] = {
    "time_zone": "America/New_York",
    "weekly": {"mon": [{"start": "09:00", "end": "17:00"}]},
    "buffer_before_minutes": 10,
    "buffer_after_minutes": 15,
    "daily_limit": 4,
}
RULES = HostRules(
    time_zone="America/New_York",
    weekly={"mon": [Hours(start="09:00", end="17:00")]},
    buffer_before_minutes=10,
    buffer_after_minutes=15,
    daily_limit=4,
)


def told(made: World) -> list[tuple[str, int]]:
    return [(event["data"]["host"], event["data"]["version"]) for event in made.rules_told.events]


def test_where_none_were_set_every_hour_is_open() -> None:
    assert host_rules(HOST, world().desk) == StandingRules(host=HOST, version=0, rules=HostRules())


def test_rules_hold_from_when_they_are_set() -> None:
    made = world()

    assert set_host_rules(HOST, GIVEN, made.desk) == StandingRules(host=HOST, version=1, rules=RULES)
    assert host_rules(HOST, made.desk) == StandingRules(host=HOST, version=1, rules=RULES)
    assert host_rules("dr-other", made.desk).version == 0


def test_they_are_told_of_as_far_as_the_booking_service_must_know() -> None:
    made = world()
    set_host_rules(HOST, GIVEN, made.desk)

    (event,) = made.rules_told.events
    assert (event["type"], event["subject"]) == ("host-rules-changed", HOST)
    assert event["data"] == {
        "host": HOST,
        "version": 1,
        "time_zone": "America/New_York",
        "buffer_before_minutes": 10,
        "buffer_after_minutes": 15,
        "daily_limit": 4,
    }
    assert schema_accepts(event)


def test_rules_that_stand_already_make_no_new_version() -> None:
    made = world()
    set_host_rules(HOST, GIVEN, made.desk)

    assert set_host_rules(HOST, GIVEN, made.desk).version == 1
    assert set_host_rules("dr-other", {}, made.desk).version == 0
    assert told(made) == [(HOST, 1)]


def test_what_is_not_given_is_as_if_it_was_never_set() -> None:
    made = world()
    set_host_rules(HOST, GIVEN, made.desk)

    assert set_host_rules(HOST, {}, made.desk) == StandingRules(host=HOST, version=2, rules=HostRules())
    assert told(made) == [(HOST, 1), (HOST, 2)]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"weekly": {"mon": [{"start": "17:00", "end": "09:00"}]}}, "weekly"),
        ({"weekly": {"monday": []}}, "weekly"),
        ({"weekly": {"mon": [{"start": "9:00", "end": "17:00"}]}}, "start"),
        ({"overrides": {"2030-02-30": []}}, "overrides"),
        ({"buffer_before_minutes": -1}, "buffer_before_minutes"),
        ({"step_minutes": 3}, "step_minutes"),
        ({"step_minutes": 7}, "step_minutes"),
        ({"durations_minutes": [30, 33]}, "durations_minutes"),
        ({"daily_limit": 0}, "daily_limit"),
        ({"dayly_limit": 3}, "dayly_limit"),
        ({"horizon_days": "30"}, "horizon_days"),
    ],
)
def test_rules_that_make_no_sense_are_named_and_change_nothing(given: dict[str, Any], names: str) -> None:
    made = world()

    with pytest.raises(BadQuestion, match=names):
        set_host_rules(HOST, given, made.desk)
    assert (made.rules.kept, told(made)) == ({}, [])


def test_of_two_who_change_at_once_the_second_comes_after_the_first() -> None:
    made = world()
    put = made.rules.put

    def overtaken(rules: StandingRules, event: Pending) -> bool:
        made.rules.put = put  # type: ignore[method-assign]  # another comes first, once
        set_host_rules(HOST, {"daily_limit": 1}, made.desk)
        return put(rules, event)

    made.rules.put = overtaken  # type: ignore[method-assign]  # see above

    assert set_host_rules(HOST, GIVEN, made.desk) == StandingRules(host=HOST, version=2, rules=RULES)
    assert told(made) == [(HOST, 1), (HOST, 2)]


def test_who_is_overtaken_again_and_again_is_told() -> None:
    made, tries = world(), list[StandingRules]()

    def lost(rules: StandingRules, event: Pending) -> bool:
        tries.append(rules)
        return False

    made.rules.put = lost  # type: ignore[method-assign]  # another always comes first
    with pytest.raises(NotNow, match="others are changing"):
        set_host_rules(HOST, GIVEN, made.desk)
    assert len(tries) == TRIES


def test_without_the_store_it_says_what_to_do() -> None:
    made = world()
    made.rules.away = True

    with pytest.raises(NotNow, match="ask again"):
        host_rules(HOST, made.desk)
    with pytest.raises(NotNow, match="give them again"):
        set_host_rules(HOST, GIVEN, made.desk)


def test_without_the_bus_the_relay_tells_later() -> None:
    made = world()
    made.rules_told.fails = True

    assert set_host_rules(HOST, GIVEN, made.desk).version == 1
    assert HOST in made.rules.outbox._entries

"""From typed rules to rules, and back to words."""

import json
from pathlib import Path

import pytest

from deploy.cli import access, rules
from deploy.cli.errors import Misuse
from libs.contracts.questions import HostCalendar, HostRules, Hours

A, B = f"cn_{'a' * 26}", f"cn_{'b' * 26}"
MORNING = Hours(start="09:00", end="12:00")


def test_what_is_typed_changes_and_the_rest_stays() -> None:
    before = HostRules(time_zone="Europe/Paris", step_minutes=30, overrides={"2030-01-01": []}, daily_limit=3)
    typed = rules.Typed(
        hours=["mon-wed,fri 09:00-12:00", "sat closed"],
        override=["2030-12-31=09:00-12:00"],
        buffer="5/10",
        notice="4h",
        horizon="60",
        durations="30,1h",
        daily_limit="none",
    )
    after = rules.changed(before, typed)
    assert after.weekly == {day: [MORNING] for day in ("mon", "tue", "wed", "fri")} | {"sat": []}
    assert after.overrides == {"2030-01-01": [], "2030-12-31": [MORNING]}
    assert (after.buffer_before_minutes, after.buffer_after_minutes) == (5, 10)
    assert (after.minimum_notice_minutes, after.horizon_days, after.durations_minutes) == (240, 60, [30, 60])
    assert (after.time_zone, after.step_minutes, after.daily_limit) == ("Europe/Paris", 30, None)


def test_hours_can_be_always_again_and_an_override_can_go() -> None:
    before = HostRules(weekly={"mon": [MORNING]}, overrides={"2030-01-01": []})
    after = rules.changed(before, rules.Typed(hours=["always"], no_override=["2030-01-01"]))
    assert (after.weekly, after.overrides) == (None, {})


@pytest.mark.parametrize(
    "typed",
    [
        rules.Typed(zone="Mars/Base"),
        rules.Typed(hours=["monday 09:00-12:00"]),
        rules.Typed(hours=["fri-mon 09:00-12:00"]),
        rules.Typed(hours=["mon 9-12"]),
        rules.Typed(hours=["mon"]),
        rules.Typed(hours=["mon 09:00"]),
        rules.Typed(override=["2030-12-24"]),
        rules.Typed(override=["christmas=closed"]),
        rules.Typed(no_override=["2030-12-24"]),
        rules.Typed(buffer="some"),
        rules.Typed(notice="soon"),
        rules.Typed(horizon="36h"),
        rules.Typed(durations="30,,45"),
        rules.Typed(daily_limit="few"),
        rules.Typed(daily_limit="0"),
        rules.Typed(step=1),
    ],
)
def test_what_cannot_be_is_misuse_with_an_advice(typed: rules.Typed) -> None:
    with pytest.raises(Misuse) as caught:
        rules.changed(HostRules(), typed)
    assert caught.value.do


def test_a_file_holds_rules_bare_or_as_they_are_shown(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    for document in ({"daily_limit": 4}, {"host": "dr-example", "version": 2, "rules": {"daily_limit": 4}}):
        file.write_text(json.dumps(document))
        assert rules.from_file(file) == HostRules(daily_limit=4)
    for text in ("{", "[]", '{"daily_limits": 4}', '{"daily_limit": "4"}'):
        file.write_text(text)
        with pytest.raises(Misuse):
            rules.from_file(file)
    with pytest.raises(Misuse, match="cannot be read"):
        rules.from_file(tmp_path / "nothing.json")


def test_words_tell_of_every_rule() -> None:
    said = dict(rules.in_words(HostRules(weekly={"mon": [MORNING]}, overrides={"2030-12-24": []}, daily_limit=8)))
    assert (said["mon"], said["tue"], said["2030-12-24"], said["daily limit"]) == (
        "09:00-12:00",
        "closed",
        "closed",
        "8",
    )
    assert dict(rules.in_words(HostRules()))["hours"] == "always"


def test_calendars_are_chosen_among_those_that_stand() -> None:
    standing = [HostCalendar(connection=A, checked=True, written=True), HostCalendar(connection=B, checked=True)]
    chosen = access.chosen(standing, [f"{A}:team"], [B], B)
    assert {(one.connection, one.calendar, one.checked, one.written) for one in chosen} == {
        (A, "primary", True, False),
        (A, "team", True, False),
        (B, "primary", False, True),
    }


@pytest.mark.parametrize(
    ("check", "ignore", "write"), [([A], [A], None), ([], [B], None), (["nonsense"], [], None), ([], [], "cn_short")]
)
def test_calendars_that_cannot_be_chosen(check: list[str], ignore: list[str], write: str | None) -> None:
    with pytest.raises(Misuse):
        access.chosen([HostCalendar(connection=A)], check, ignore, write)

"""Rules that make no sense are refused in words that say which field and what to do."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.questions import HostRules, Hours
from services.availability.rules import BadRules, checked, explained


def hours(*stretches: str) -> list[Hours]:
    return [Hours(start=one.split("-")[0], end=one.split("-")[1]) for one in stretches]


def complaint(rules: HostRules, grid: int = 5) -> str:
    with pytest.raises(BadRules) as caught:
        checked(rules, grid)
    return str(caught.value)


@pytest.mark.parametrize(
    "rules",
    [
        HostRules(),
        HostRules(time_zone="America/Argentina/Buenos_Aires", weekly={}),
        HostRules(weekly={"mon": hours("13:00-17:00", "09:00-12:00", "12:00-13:00"), "tue": hours("00:00-24:00")}),
        HostRules(overrides={"2028-02-29": [], "2030-12-24": hours("09:07-12:00")}),
        HostRules(step_minutes=5, durations_minutes=[30, 45], buffer_before_minutes=7, minimum_notice_minutes=43_200),
        HostRules(minimum_notice_minutes=1439, horizon_days=1),
    ],
)
def test_sound_rules_come_back_as_they_are(rules: HostRules) -> None:
    assert checked(rules) is rules


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (
            HostRules(time_zone="America/New_Yorck"),
            ["time_zone", "'America/New_Yorck'", "did you mean America/New_York?"],
        ),
        (HostRules(time_zone="+02:00"), ["time_zone", "IANA"]),
        (HostRules(time_zone="right/America/New_York"), ["time_zone", "America/New_York"]),
        (HostRules(time_zone="../../etc/passwd"), ["time_zone", "IANA"]),
        (HostRules(time_zone="America"), ["time_zone", "IANA"]),
        (HostRules(time_zone="localtime"), ["time_zone", "IANA"]),
        (HostRules(time_zone="a\n\x1b[31m" + "b" * 50), ["time_zone", r"'a\n\x1b[31m", "…"]),
        (HostRules(weekly={"mon": hours("17:00-09:00")}), ["weekly.mon[0]", "17:00 to 09:00", "24:00"]),
        (HostRules(weekly={"fri": hours("09:00-10:00", "12:00-12:00")}), ["weekly.fri[1]", "12:00 to 12:00"]),
        (HostRules(weekly={"fri": hours("24:00-24:00")}), ["weekly.fri[0]", "24:00 to 24:00"]),
        (HostRules(weekly={"sat": hours("12:00-14:00", "09:00-12:05")}), ["weekly.sat", "overlap", "join them"]),
        (HostRules(weekly={"sat": hours("09:00-10:00", "09:00-10:00")}), ["weekly.sat", "overlap"]),
        (HostRules(weekly={"sat": hours("09:00-17:00", "10:00-11:00", "12:00-13:00")}), ["12:00 to 13:00 overlap"]),
        (HostRules(overrides={"2030-02-30": []}), ["overrides.2030-02-30", "no such day"]),
        (HostRules(overrides={"2030-13-01": []}), ["overrides.2030-13-01", "no such day"]),
        (HostRules(overrides={"0000-01-01": []}), ["overrides.0000-01-01", "no such day"]),
        (HostRules(overrides={"2030-02-28": hours("10:00-09:00")}), ["overrides.2030-02-28[0]", "after it starts"]),
        (HostRules(step_minutes=7), ["step_minutes", "7 is not a multiple of 5", "use 5 or 10"]),
        (HostRules(durations_minutes=[30, 42]), ["durations_minutes", "42", "use 40 or 45"]),
        (HostRules(durations_minutes=[30, 60, 30]), ["durations_minutes", "30 is there 2 times"]),
        (HostRules(minimum_notice_minutes=2880, horizon_days=2), ["minimum_notice_minutes", "horizon_days", "shorter"]),
    ],
)
def test_what_makes_no_sense_is_named_with_what_to_do(rules: HostRules, words: Sequence[str]) -> None:
    text = complaint(rules)

    assert [word for word in words if word not in text] == []


def test_a_grid_of_the_installations_own_is_kept_to() -> None:
    assert "step_minutes: 15 is not a multiple of 10 minutes: use 10 or 20" in complaint(HostRules(), 10)
    assert complaint(HostRules(step_minutes=5), 10) == "step_minutes: 5 is not a multiple of 10 minutes: use 10"


def test_all_faults_are_told_at_once_but_not_hundreds() -> None:
    text = complaint(HostRules(time_zone="Mars/Olympus", step_minutes=7, overrides={"2030-02-30": []}))
    assert [text.count(field) for field in ("time_zone:", "step_minutes:", "overrides.2030-02-30:")] == [1, 1, 1]

    many = complaint(HostRules(overrides={f"2030-{month}-40": [] for month in range(10, 100)}))
    assert many.count("no such day") == 10
    assert many.endswith("; and 80 more")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ('{"step_minutes": "x"}', "step_minutes: must be a whole number, not a text"),
        ('{"step_minutes": 1.5}', "step_minutes: must be a whole number, not a fraction"),
        ('{"step_minutes": 4}', "step_minutes: must be at least 5"),
        ('{"durations_minutes": [30, 9999]}', "durations_minutes[1]: must be at most 1440"),
        ('{"time_zone": ""}', "time_zone: must have at least 1 characters"),
        ('{"weekly": {"monday": []}}', "weekly: 'monday' is not a weekday: use mon, tue, wed, thu, fri, sat, sun"),
        ('{"weekly": []}', "weekly: must be an object, or null, not a list"),
        (
            '{"weekly": {"mon": [{"start": "9:00", "end": "17:00"}]}}',
            "weekly.<day>[0].start: must be a time HH:MM, as in 09:00 (24:00 only as an end)",
        ),
        ('{"weekly": {"mon": [{"start": "09:00"}]}}', "weekly.<day>[0]: needs end"),
        (
            '{"weekly": {"mon": [{"start": "09:00", "end": "10:00", "till": 1}]}}',
            "weekly.<day>[0]: has no field 'till': there are start, end",
        ),
        ('{"overrides": {"1.6.2030": []}}', "overrides: every day must be written YYYY-MM-DD, as in 2030-12-24"),
        ('{"overrides": {"2030-06-01": null}}', "overrides.<day>: must be a list, not null"),
        ("[]", "rules: must be an object, not a list"),
        ("{", "the rules are not valid JSON: look for a missing quote, comma or bracket"),
        ("{} {}", "the rules are not valid JSON: look for a missing quote, comma or bracket"),
    ],
)
def test_what_cannot_be_read_is_explained(raw: str, words: str) -> None:
    assert misread(raw.encode()) == words


def misread(raw: bytes) -> str:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)) as caught:
        msgspec.json.decode(raw, type=HostRules)
    return str(explained(caught.value))


def test_a_field_there_is_not_is_named_with_those_there_are() -> None:
    assert misread(b'{"timezone": "UTC"}').startswith("rules: has no field 'timezone': there are time_zone, weekly, ")


def test_text_in_another_encoding_is_explained() -> None:
    assert misread(b'{"time_zone": "\xff"}') == "the rules are not UTF-8 text"


@given(st.text(min_size=1, max_size=3000))
def test_nothing_long_is_repeated(text: str) -> None:
    values: list[dict[str, object]] = [
        {text: 1},
        {"weekly": {text: []}},
        {"weekly": {"mon": [{text: "x"}]}},
        {"overrides": {text: []}},
    ]
    for value in values:
        try:
            msgspec.convert(value, HostRules)
        except msgspec.ValidationError as error:
            words = str(explained(error))
            assert len(words) < 450
            assert words.isprintable()


def test_a_path_that_the_sender_made_up_is_not_taken_for_ours() -> None:
    forged = msgspec.json.encode({"x` - at `$.somewhere.secret": 1})

    assert misread(forged).startswith("rules: has no field 'x'")

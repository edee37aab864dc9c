"""What was typed is checked; complaints say what to do and repeat nothing personal."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from deploy.cli import given
from deploy.cli.errors import Misuse

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("text", "where", "expected"),
    [
        ("2030-05-17T09:30-04:00", None, datetime(2030, 5, 17, 13, 30, tzinfo=UTC)),
        ("2030-05-17t13:30z", None, datetime(2030, 5, 17, 13, 30, tzinfo=UTC)),
        ("2030-05-17T09:30", NEW_YORK, datetime(2030, 5, 17, 13, 30, tzinfo=UTC)),
        ("2030-05-17 09:30", NEW_YORK, datetime(2030, 5, 17, 13, 30, tzinfo=UTC)),
        ("2030-01-17T09:30", NEW_YORK, datetime(2030, 1, 17, 14, 30, tzinfo=UTC)),
        ("2030-05-17T09:30+02:00", NEW_YORK, datetime(2030, 5, 17, 7, 30, tzinfo=UTC)),
    ],
)
def test_times_are_instants(text: str, where: ZoneInfo | None, expected: datetime) -> None:
    assert given.instant("START", text, where) == expected


@pytest.mark.parametrize(
    ("text", "where", "complaint"),
    [
        ("tomorrow", NEW_YORK, "is not a time"),
        ("2030-05-17T09:30", None, "has no offset"),
        ("2030-05-17", NEW_YORK, "is a day without a time"),
        ("2030-03-10T02:30", NEW_YORK, "does not exist in America/New_York"),
        ("2030-11-03T01:30", NEW_YORK, "comes twice in America/New_York"),
        ("2030-13-01T00:00Z", NEW_YORK, "is not a time"),
    ],
)
def test_times_that_cannot_be_used_are_refused_with_an_advice(
    text: str, where: ZoneInfo | None, complaint: str
) -> None:
    with pytest.raises(Misuse, match=complaint) as caught:
        given.instant("START", text, where)
    assert caught.value.do


def test_a_day_is_enough_where_that_is_said() -> None:
    found = given.instant("--from", "2030-05-17", NEW_YORK, day_is_enough=True)
    assert found == datetime(2030, 5, 17, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize("text", ["Nowhere/Atall", "", "../../etc/passwd", "America", "/etc/localtime"])
def test_zones_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Misuse, match="--zone"):
        given.zone(text)


@pytest.mark.parametrize("text", ["Dr-Example", "ada@example.com", "", "a b", "x" * 65, "dr-example\n"])
def test_hosts_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Misuse, match="HOST") as caught:
        given.checked("HOST", text)
    assert not text or text not in caught.value.what + caught.value.do


@pytest.mark.parametrize("text", ["benexample.org", "ben@", "@example.org", f"{'a' * 250}@example.org", ""])
def test_addresses_that_are_none_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(Misuse, match="--email") as caught:
        given.address(text)
    assert not text or text not in caught.value.what + caught.value.do


def test_fields_are_pairs_and_an_answer_may_hold_an_equals_sign() -> None:
    assert given.fields(["phone=555-0100", "formula=a=b", "empty="]) == {
        "phone": "555-0100",
        "formula": "a=b",
        "empty": "",
    }


@pytest.mark.parametrize("pairs", [["no answer from Ada"], ["=Ada"], ["q=1", "q=Ada"]])
def test_fields_that_are_none_are_refused_by_their_number(pairs: list[str]) -> None:
    with pytest.raises(Misuse, match=f"number {len(pairs)}") as caught:
        given.fields(pairs)
    assert "Ada" not in caught.value.what + caught.value.do


def test_the_end_must_come_after_the_start_and_soon_enough() -> None:
    start = datetime(2030, 5, 17, tzinfo=UTC)
    with pytest.raises(Misuse, match="END is not after START"):
        given.ordered("START", start, "END", start)
    with pytest.raises(Misuse, match="more than 62 days"):
        given.near("--from", start, "--to", start + timedelta(days=63), timedelta(days=62))

"""How answers look."""

import io
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from rich.console import Console, RenderableType

from deploy.cli import answers, asking, free, records, views
from deploy.cli.errors import Trouble

NEW_YORK = ZoneInfo("America/New_York")
HOST = {
    "host": "dr-example",
    "state": "connected",
    "connections": [
        {"connection": f"cn_{'a' * 26}", "provider": "google", "state": "connected", "since": "2030-05-17T13:30:00Z"}
    ],
}


def drawn(what: RenderableType, width: int = 120) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, markup=False).print(what)
    return out.getvalue()


def slots_of(*starts_and_ends: tuple[str, str], **more: Any) -> answers.Slots:
    rows = [{"start": start, "end": end} for start, end in starts_and_ends]
    return msgspec.convert({"host": "dr-example", "slots": rows, "calendars": [], **more}, answers.Slots)


def test_slots_that_overlap_are_shown_as_one_stretch_in_the_wanted_zone() -> None:
    found = slots_of(
        ("2030-05-17T13:00:00Z", "2030-05-17T13:30:00Z"),
        ("2030-05-17T13:15:00Z", "2030-05-17T13:45:00Z"),
        ("2030-05-17T15:00:00Z", "2030-05-17T15:30:00Z"),
    )
    assert "09:00-09:45  11:00-11:30" in drawn(free.slots(found, NEW_YORK))


def test_a_stretch_over_midnight_stands_under_both_days() -> None:
    found = slots_of(("2030-05-18T02:00:00Z", "2030-05-18T06:00:00Z"))
    text = drawn(free.slots(found, NEW_YORK))
    assert "Fri 2030-05-17" in text
    assert "22:00-24:00" in text
    assert "Sat 2030-05-18" in text
    assert "00:00-02:00" in text


def test_a_day_on_which_the_clocks_change_is_whole() -> None:
    found = slots_of(("2030-03-10T05:00:00Z", "2030-03-11T04:00:00Z"))
    (stretch,) = list(free.by_day(found.slots, NEW_YORK))
    assert (stretch[1].timestamp() - stretch[0].timestamp()) / 3600 == 23


def test_no_slots_are_said_to_be_none() -> None:
    assert "no free time" in drawn(free.slots(slots_of(), NEW_YORK))


def test_an_incomplete_reading_is_named() -> None:
    calendar = {"provider": "google", "as_of": "2030-05-17T13:30:00Z", "complete": False, "why": "rate-limited"}
    assert "google: as of 2030-05-17 09:30:00 EDT incomplete: rate-limited" in drawn(
        free.slots(slots_of(calendars=[calendar]), NEW_YORK)
    )


@pytest.mark.parametrize("width", [30, 60, 120])
def test_hosts_are_shown_whole_at_any_width(width: int) -> None:
    text = drawn(records.hosts([msgspec.convert(HOST, answers.Host)]), width)
    squeezed = "".join(text.split())
    assert "dr-example" in squeezed or "dr-" in squeezed
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text


def test_a_host_without_connections_has_a_row_too() -> None:
    host = msgspec.convert({"host": "ms-sample", "state": "invited", "connections": []}, answers.Host)
    assert "ms-sample" in drawn(records.hosts([host]))
    assert "no host is known" in drawn(records.hosts([]))


def test_a_booking_is_shown_with_its_history() -> None:
    answer = {
        "booking": f"bk_{'a' * 26}",
        "state": "rejected",
        "version": 2,
        "host": "dr-example",
        "start": "2030-05-17T13:30:00Z",
        "end": "2030-05-17T14:00:00Z",
        "reason": "host-busy",
        "request": {"source": "urn:example:desk", "id": "r-1"},
        "history": [
            {"state": "held", "at": "2030-05-17T10:00:00Z", "version": 1, "reason": None},
            {"state": "rejected", "at": "2030-05-17T10:00:01Z", "version": 2, "reason": "host-busy"},
        ],
        "calendar": None,
    }
    text = drawn(records.booking(asking.understood(answer, answers.Booking, "booking")))
    for words in ("rejected (host-busy)", "r-1 from urn:example:desk", "2030-05-17 13:30:00 UTC", "held"):
        assert words in text


def test_an_answer_may_have_more_than_is_known() -> None:
    assert asking.understood({**HOST, "new": 1}, answers.Host, "auth").host == "dr-example"


def test_an_answer_of_another_shape_is_trouble_and_names_the_service() -> None:
    with pytest.raises(Trouble, match="auth"):
        asking.understood([{"name": "dr-example"}], list[answers.Host], "auth")


@pytest.mark.parametrize(
    ("text", "shown"), [(None, "-"), ("soon", "soon"), ("2030-05-17T13:30:00", "2030-05-17T13:30:00")]
)
def test_times_that_are_none_are_shown_as_they_are(text: str | None, shown: str) -> None:
    assert views.when(text) == shown

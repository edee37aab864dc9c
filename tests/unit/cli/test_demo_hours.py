"""The demonstration's hosts can be booked by day, and the example site is checked for offering nothing else."""

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from deploy.demo import page, times
from deploy.demo.people import OPEN, RULES, ZONE
from services.availability import rules

NOW = datetime(2030, 5, 17, 12, 3, tzinfo=UTC)


def test_the_rules_are_as_availability_wants_them() -> None:
    assert rules.checked(RULES) == RULES


def test_every_block_lies_within_the_hours() -> None:
    for block in islice(times.blocks(NOW, None), 400):  # also over a change of the clocks
        start, end = (f"{at.astimezone(ZoneInfo(ZONE)):%H:%M}" for at in (block.start, block.end))
        assert OPEN.start <= start < end <= OPEN.end


def test_what_a_page_offers_is_read_by_the_hosts_clock() -> None:
    link = '<li><a href="/dr-example/form?start={}">…</a></li>'
    found = page.offered("".join(map(link.format, ("2030-05-20T21:30Z", "2030-05-20T12:00Z", "2030-12-20T13:15Z"))))
    assert found == ["08:00", "08:15", "17:30"]


@pytest.mark.parametrize(
    ("clocks", "within"), [(["08:00", "17:30"], True), (["07:45", "12:00"], False), (["12:00", "18:00"], False)]
)
def test_a_page_that_offers_the_night_is_seen(clocks: list[str], within: bool) -> None:
    assert page.within_hours(clocks) is within

"""The judge of lives is judged: what is wrong on purpose is found, and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.model.life import Asked, End, Said, Span, faults

NINE = datetime(2030, 1, 7, 9, tzinfo=UTC)


def span(hour: int, hours: int = 1) -> Span:
    start = NINE + timedelta(hours=hour)
    return start, start + timedelta(hours=hours)


ASKED = (
    Asked("r1", "booking", "dr-example", span(0), busy=(span(5),)),
    Asked("c1", "cancellation", "dr-example", of="r1"),
)
GOOD = End(
    asked=ASKED,
    said=[Said("booking-confirmed", "r1", "bk_a", span=span(0)), Said("change-refused", "c1", "bk_a", "booking-over")],
    standing={"bk_a": ("dr-example", span(0)), "bk_b": ("dr-example", span(1))},
    entries=[("dr-example", "bk_a", span(0)), ("dr-example", "bk_b", span(1))],
)


def test_a_good_end_has_no_faults() -> None:
    assert faults(GOOD) == []


def test_where_the_host_has_put_an_entry_it_may_stay() -> None:
    entries = [GOOD.entries[0], ("dr-example", "bk_b", span(7))]
    assert faults(replace(GOOD, entries=entries, moved={"bk_b": span(7)})) == []


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        (replace(GOOD, said=GOOD.said[:1]), "cancellation c1 has 0 outcomes"),
        (replace(GOOD, said=[*GOOD.said, Said("booking-rejected", "r1", "bk_a")]), "booking r1 has 2 outcomes"),
        (replace(GOOD, standing={**GOOD.standing, "bk_b": ("dr-example", span(0, 2))}), "overlap"),
        (replace(GOOD, entries=GOOD.entries[:1]), "bk_b stands and has 0 entries"),
        (replace(GOOD, entries=[*GOOD.entries, GOOD.entries[0]]), "bk_a stands and has 2 entries"),
        (replace(GOOD, entries=[*GOOD.entries, ("dr-example", "bk_c", span(3))]), "bk_c does not stand and has an entry"),
        (replace(GOOD, entries=[GOOD.entries[0], ("dr-example", "bk_b", span(7))]), "the entry of bk_b is at"),
        (replace(GOOD, deleted={"bk_a"}), "its entry was deleted by the host"),
        (
            replace(GOOD, said=[Said("booking-confirmed", "r1", "bk_a", span=span(5)), GOOD.said[1]]),
            "over an entry of the host's own",
        ),
    ],
)  # fmt: skip
def test_what_is_planted_is_found(planted: End, found: str) -> None:
    assert any(found in fault for fault in faults(planted))

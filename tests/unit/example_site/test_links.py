"""Signed links: what was changed on the way is refused."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from example_site.links import Asked, Held, Links, LinkWrong, Span, over

SPAN = Span(datetime(2026, 12, 1, 15, tzinfo=UTC), datetime(2026, 12, 1, 15, 30, tzinfo=UTC))
HELD = Held("bk_" + "a" * 26, "f" * 32, "dr-example", SPAN)
LINKS = Links("a secret that is long enough for this")
TOKEN = LINKS.sign("cancel", HELD)


def test_a_link_gives_back_what_was_signed() -> None:
    assert LINKS.read("cancel", TOKEN, Held) == HELD


@given(at=st.integers(0, len(TOKEN) - 1), letter=st.sampled_from("AZaz09-_."))
def test_a_link_with_another_letter_is_refused(at: int, letter: str) -> None:
    # given a link with one letter changed (the last of a base64 text has bits that mean nothing)
    changed = TOKEN[:at] + letter + TOKEN[at + 1 :]
    if changed == TOKEN or at == len(TOKEN) - 1:
        return
    with pytest.raises(LinkWrong):
        LINKS.read("cancel", changed, Held)


@pytest.mark.parametrize("text", ["", ".", "x", TOKEN[:-5], TOKEN + "A", "eyJhIjoxfQ.", "é" * 40, "\x00"])
def test_what_is_no_link_is_refused(text: str) -> None:
    with pytest.raises(LinkWrong):
        LINKS.read("cancel", text, Held)


def test_a_link_is_good_for_its_purpose_only() -> None:
    for purpose in ("move", "status", "form", "change", "changed"):
        with pytest.raises(LinkWrong):
            LINKS.read(purpose, TOKEN, Held)


def test_a_link_of_another_site_or_another_kind_is_refused() -> None:
    with pytest.raises(LinkWrong):
        Links("another secret, just as long as that").read("cancel", TOKEN, Held)
    with pytest.raises(LinkWrong):
        LINKS.read("cancel", TOKEN, Asked)


def test_an_appointment_is_over_when_it_ends() -> None:
    assert not over(SPAN, SPAN.end - timedelta(seconds=1))
    assert over(SPAN, SPAN.end)

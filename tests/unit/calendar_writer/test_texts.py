"""What an entry says: no text breaks out of its line."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.questions import EntryTexts
from services.calendar_writer.texts import MOST_TEXT, description, title

NASTY = st.text(max_size=80) | st.text(
    alphabet="a\n\r\t\x00\x1b\u202e\u2066\u2028\u2029\u0085\ufeff\ud800b", max_size=30
)


def texts(name: str, answer: str = "", title_: str | None = None, question: str = "Why?") -> EntryTexts:
    return EntryTexts(
        name=name, email="ada@example.com", time_zone="America/New_York", fields={question: answer}, title=title_
    )


@given(NASTY, NASTY, NASTY)
def test_no_text_breaks_out_of_its_line(name: str, asked: str, named: str) -> None:
    heading = title(texts(name, title_=named or None))
    body = description(texts(name, "answer", question=asked or "Q"), "bk_one")

    assert len(heading.splitlines()) <= 1
    assert len(body.split("\n")) == 7
    for text in (heading, body.replace("\n", "")):
        assert not {unicodedata.category(c) for c in text} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    (heading + body).encode()


@given(NASTY)
def test_answers_keep_their_lines_and_nothing_else(answer: str) -> None:
    body = description(texts("Ada", answer), "bk_one")

    assert body.startswith("Ada\nada@example.com\nTime zone: America/New_York\n\nWhy?: ")
    assert body.endswith("\n\nBooking bk_one")


def test_an_entry_never_grows_beyond_what_is_allowed() -> None:
    assert len(description(texts("Ada", "x" * 10_000), "bk_one")) == MOST_TEXT


def test_without_a_title_the_entry_is_called_after_the_invitee() -> None:
    assert title(texts("Ada Example")) == "Booking: Ada Example"
    assert title(texts("Ada Example", title_="First visit")) == "First visit"

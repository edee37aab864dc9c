"""Every reason that Valet's contracts name has words that a visitor understands."""

import re
from pathlib import Path

from example_site.reasons import WORDS, words

CONTRACTS = Path(__file__).parents[3] / "libs" / "contracts" / "README.md"


def documented() -> set[str]:
    """The labels in the tables under the heading Reasons."""
    section = CONTRACTS.read_text().partition("\n## Reasons\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE))


def test_no_reason_is_without_words() -> None:
    # given the published list, then each has words, and none is made up
    assert len(documented()) > 40
    assert set(WORDS) == documented()


def test_words_are_sentences_without_labels() -> None:
    for reason, text in WORDS.items():
        assert text[0].isupper(), reason
        assert text.endswith("."), reason
        assert "-" not in reason or reason not in text, reason


def test_a_reason_that_is_new_still_says_something() -> None:
    # new reasons come without notice: treat them like "refused, see the label"
    assert "moon-in-the-way" in words("moon-in-the-way")
    assert words(None)

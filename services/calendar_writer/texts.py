"""What an entry says, as plain text: no control characters, nothing that turns the direction of what follows."""

import unicodedata

from libs.contracts.questions import EntryTexts

MOST_TEXT = 4000  # characters


def title(texts: EntryTexts) -> str:
    """The entry's title."""
    return _line(texts.title) if texts.title else f"Booking: {_line(texts.name)}"


def description(texts: EntryTexts, booking: str) -> str:
    """The entry's text: who books and what they answered, as plain text."""
    answers = [f"{_line(question)}: {_lines(answer)}" for question, answer in texts.fields.items()]
    lines = [
        _line(texts.name),
        _line(texts.email),
        f"Time zone: {_line(texts.time_zone)}",
        "",
        *answers,
        "",
        f"Booking {booking}",
    ]
    return "\n".join(lines)[:MOST_TEXT]


def _line(text: str) -> str:
    """One line: no control characters, nothing that turns the direction of what follows."""
    return " ".join("".join(c if _plain(c) else " " for c in text).split())


def _lines(text: str) -> str:
    return "\n".join(_line(line) for line in text.splitlines())


def _plain(character: str) -> bool:
    # Cc control, Cf format (with the bidirectional marks), Cs surrogates, Zl and Zp line ends, Co and Cn not assigned.
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn")

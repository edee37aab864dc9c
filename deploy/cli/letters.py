"""Dead letters in words: as lines, as rows for scripts, and what is lost with them. Nothing personal: that is sealed in them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from deploy.cli import views
from libs.contracts.events import REQUESTS
from libs.messaging.letters import Found


def loss(letters: Sequence[Found]) -> str:
    """What is lost with these letters."""
    requests = sum(1 for one in letters if one.letter is None or one.letter.type is None or one.letter.type in REQUESTS)
    facts = len(letters) - requests
    parts = [
        f"{requests} that may be requests: they will never be answered" if requests else "",
        f"{facts} of Valet's own: what they tell may stay undone until the next event about the same booking"
        if facts
        else "",
    ]
    return f"This destroys {in_words(len(letters))}: {'; '.join(part for part in parts if part)}."


def row(found: Found, name: str) -> dict[str, Any]:
    """A letter for scripts: nothing of its content."""
    letter = found.letter
    known = {} if letter is None else {"queue": letter.queue, "attempts": letter.attempts, "size": letter.size}
    event = {"id": letter.id, "source": letter.source, "type": letter.type} if letter else {}
    return {
        "id": name,
        "service": found.service,
        "reason": found.reason,
        "at": _at(found),
        **known,
        "event": event,
        "content": content(found),
        "replayable": found.replayable,
    }


def table(letters: Sequence[Found], short: dict[str, str]) -> Any:
    """Letters as lines."""
    made = views.listing("id", "at", "queue", "reason", "attempts", "event", "content")
    for one in letters:
        letter = one.letter
        event = f"{letter.type or '?'} {letter.id or ''}".strip() if letter else "?"
        queue, attempts = (letter.queue, str(letter.attempts)) if letter else (f"({one.service})", "-")
        made.add_row(short[one.name], views.when(_at(one)), queue, one.reason, attempts, event, content(one))
    return made


def whole(found: Found) -> Iterator[tuple[str, Any]]:
    """All that can be told of a letter."""
    letter = found.letter
    yield "letter", found.name
    yield "service", found.service
    yield "reason", views.state("failed", found.reason)
    yield "at", views.when(_at(found))
    if letter is None:
        yield "content", f"{found.size} bytes that are no letter of Valet's; drop it when you know where it comes from"
        return
    yield "queue", letter.queue
    yield "attempts", letter.attempts
    yield "size", f"{letter.size} bytes"
    yield "event", f"{letter.type or '?'}, {letter.id or '?'} from {letter.source or '?'}"
    yield "content", _WORDS[content(found)]
    if letter.body is not None:
        yield "body", letter.body


def content(found: Found) -> str:
    """`clear`, `sealed` or `not kept`."""
    if found.letter is None:
        return "not kept"
    return "clear" if found.letter.body is not None else "sealed" if found.letter.sealed is not None else "not kept"


_WORDS = {
    "clear": "in the clear; it holds nothing personal",
    "sealed": "sealed with the service's own key; it can be replayed, and not be read",
    "not kept": "not kept (too large, from somebody who may not say it, or the service has no key); it cannot be replayed",
}


def body(found: Found) -> Any:
    """The event in it, where it is in the clear."""
    body = found.letter.body if found.letter else None
    return msgspec.json.decode(body) if body is not None else None


def _at(found: Found) -> str | None:
    return datetime.fromtimestamp(found.letter.at / 1000, UTC).isoformat() if found.letter else None


def in_words(count: int) -> str:
    """So many letters."""
    return "1 letter" if count == 1 else f"{count} letters"

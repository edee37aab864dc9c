"""What stands in a calendar for a booking, and what should. Pure: instants are aware and in UTC."""

import unicodedata
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from libs.contracts.events import Provider
from libs.contracts.questions import CalendarAccess, Detail, EntryTexts
from libs.contracts.reasons import Reason

LEASE = timedelta(seconds=40)
"""How long one worker has an entry to itself; longer than the three exchanges of a try may take together."""
MOST_TEXT = 4000  # characters


class Standing(StrEnum):
    """Where an effect stands. `intended` covers all that is not known to have come to its end."""

    INTENDED = "intended"
    WRITTEN = "written"
    REMOVED = "removed"
    FAILED = "failed"


class Want(StrEnum):
    """What the booking wants of the calendar."""

    NOTHING = "nothing"
    WRITE = "write"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Effect:
    """One booking's entry in one calendar. Its ids are made and stored before the first try, so that every try is the same one.

    `since` is when it was last found to be other than the booking wants it.
    """

    booking: str
    host: str
    connection: str
    provider: Provider
    calendar: str = field(repr=False)
    event_id: str
    transaction_id: str
    mark: str
    since: datetime
    generation: int = 1
    standing: Standing = Standing.INTENDED
    version: int = 0
    attempts: int = 0
    remote_id: str | None = None
    busy_until: datetime | None = None
    reason: Reason | None = None


def want(detail: Detail, effect: Effect | None) -> Want:
    """What is to be done, if anything. Order and number of events do not matter: only how things stand now."""
    if detail.pending:
        return Want.NOTHING
    if detail.stands:
        # Written, given up, or removed by the host (what was removed is never written again).
        ended = effect is not None and effect.standing is not Standing.INTENDED and effect.version == detail.version
        return Want.NOTHING if ended else Want.WRITE
    if effect is None or effect.standing is Standing.REMOVED:
        return Want.NOTHING
    return Want.REMOVE


def tried(effect: Effect, version: int, now: datetime, lease: timedelta = LEASE) -> Effect:
    """The effect as it is stored before a try. Tries are counted on while it is not known how the last one ended."""
    new = effect.version != version and effect.standing in (Standing.WRITTEN, Standing.REMOVED)
    return replace(
        effect,
        since=effect.since if effect.standing is Standing.INTENDED else now,
        standing=Standing.INTENDED,
        version=version,
        attempts=1 if new else effect.attempts + 1,
        busy_until=now + lease,
        reason=None,
    )


def came_out(
    effect: Effect, standing: Standing, *, remote_id: str | None = None, reason: Reason | None = None
) -> Effect:
    """The effect after a try."""
    return replace(effect, standing=standing, remote_id=remote_id or effect.remote_id, reason=reason, busy_until=None)


def target(effect: Effect | None, calendars: list[CalendarAccess]) -> CalendarAccess | None:
    """The calendar to write to: the one it was meant for from the first try on, otherwise the host's first."""
    if effect is not None:
        return next((c for c in calendars if (c.connection, c.calendar) == (effect.connection, effect.calendar)), None)
    return next((c for c in calendars if c.written), None)


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

"""One plain function per use case of availability. A calendar that cannot be read is unknown, and unknown is never free."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from libs.contracts.events import BookingHeld, ConnectionFact
from libs.contracts.questions import HostAccess, Slot, Slots
from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE, Incoming, Outcome, Retry
from libs.messaging.grants import AuthUnavailable, Grants
from libs.mongo.errors import StoreUnavailable
from libs.mongo.outbox import Sends
from libs.telemetry.logs import logger
from services.availability.domain import Verdict, Window, joined, judge, slots
from services.availability.outgoing import answer_of
from services.availability.reading import Reader, Reading
from services.availability.store import AnswerBook

LONGEST_QUESTION = timedelta(days=31)
STEP = timedelta(minutes=15)
PATIENCE = 0.7
"""The share of a hold's time after which an unreadable calendar is answered with a refusal rather than another try."""
NOT_CONNECTED: dict[str, Reason] = {
    "unknown": Reason.UNKNOWN_HOST,
    "invited": Reason.HOST_NOT_CONNECTED,
    "disconnected": Reason.HOST_NOT_CONNECTED,
}


class BadQuestion(Exception):
    """A question about slots that cannot be answered; the text says why."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What the handlers work with. `hold` is how long a booking is held for us."""

    grants: Grants
    reader: Reader
    answers: AnswerBook
    relay: Sends
    hold: timedelta
    clock: Callable[[], datetime]


def check_holds(batch: Sequence[Incoming[BookingHeld]], desk: Desk) -> Sequence[Outcome]:
    """Answer each hold from its host's calendars, read now: approved, refused, or asked again later."""
    verdicts = _verdicts(batch, desk)
    now = desk.clock()
    answers = {at: v or _out_of_patience(batch[at], desk.hold, now) for at, v in enumerate(verdicts)}
    try:
        _answer([(batch[at], verdict) for at, verdict in answers.items() if verdict], desk)
    except StoreUnavailable:
        return [Retry(Reason.STORE_UNAVAILABLE)] * len(batch)
    return [DONE if answers[at] else Retry(Reason.CALENDAR_UNREADABLE) for at in range(len(batch))]


def forget_access(batch: Sequence[Incoming[ConnectionFact]], desk: Desk) -> Sequence[Outcome]:
    """A host's connection changed: what is remembered of it is no longer good."""
    for item in batch:
        desk.grants.forget(item.data.host)
    return [DONE] * len(batch)


def slot_question(start: datetime, end: datetime, minutes: int) -> tuple[Window, timedelta]:
    """What a question about slots asks for. Raises BadQuestion."""
    try:
        return Window(start.astimezone(UTC), end.astimezone(UTC)), timedelta(minutes=minutes)
    except OverflowError:
        raise BadQuestion("start, end and duration_minutes must lie within what a calendar knows") from None


def find_slots(host: str, window: Window, duration: timedelta, desk: Desk) -> Slots:
    """Free slots and the evidence for them. Raises BadQuestion, AuthUnavailable."""
    if duration <= timedelta(0) or duration > timedelta(days=1):
        raise BadQuestion("duration_minutes must be between 1 and 1440")
    if window.end <= window.start or window.end - window.start > timedelta(days=62):
        raise BadQuestion("end must be after start, and at most 62 days later")
    access = desk.grants.of([host])[host]
    if access.state in NOT_CONNECTED:
        return Slots(host=host, slots=[], calendars=[], why=NOT_CONNECTED[access.state])
    wanted = Window(max(window.start, desk.clock()), window.end)
    if wanted.end <= wanted.start:
        return Slots(host=host, slots=[], calendars=[])
    reading = desk.reader.read({host: access}, {host: [wanted]})[host]
    if not reading.complete:
        return Slots(host=host, slots=[], calendars=reading.evidence, why=Reason.CALENDAR_UNREADABLE)
    found = slots(wanted, reading.busy, duration, STEP)
    return Slots(host=host, slots=[Slot(s.start, s.end) for s in found], calendars=reading.evidence)


def _verdicts(batch: Sequence[Incoming[BookingHeld]], desk: Desk) -> list[Verdict | None]:
    """What the calendars say of each hold; None where that is not known."""
    try:
        access = desk.grants.of(item.data.host for item in batch)
    except AuthUnavailable:
        return [None] * len(batch)
    connected = [item for item in batch if access[item.data.host].state not in NOT_CONNECTED]
    readings = desk.reader.read(access, _windows(connected)) if connected else {}
    return [_verdict(item, access[item.data.host], readings) for item in batch]


def _verdict(item: Incoming[BookingHeld], access: HostAccess, readings: Mapping[str, Reading]) -> Verdict | None:
    if access.state in NOT_CONNECTED:
        return Verdict(NOT_CONNECTED[access.state])
    reading = readings[item.data.host]
    return judge(Window(item.data.start, item.data.end), reading.busy) if reading.complete else None


def _windows(batch: Sequence[Incoming[BookingHeld]]) -> dict[str, list[Window]]:
    """The stretches of time to ask about, by host."""
    asked: dict[str, list[Window]] = {}
    for item in batch:
        asked.setdefault(item.data.host, []).append(Window(item.data.start, item.data.end))
    return {host: joined(windows, LONGEST_QUESTION) for host, windows in asked.items()}


def _out_of_patience(item: Incoming[BookingHeld], hold: timedelta, now: datetime) -> Verdict | None:
    since = item.time or item.first_seen
    return Verdict(Reason.CALENDAR_UNREADABLE) if now - since >= hold * PATIENCE else None


def _answer(answered: Sequence[tuple[Incoming[BookingHeld], Verdict]], desk: Desk) -> None:
    """Write the answers down and tell of them. A hold that was answered before gets that answer again."""
    if not answered:
        return
    answers = [answer_of(item, verdict, desk.clock()) for item, verdict in answered]
    standing = desk.answers.add(answers)
    desk.relay.send({answer.id: [answer.event] for answer in standing})
    for (item, _), answer in zip(answered, standing, strict=True):
        logger().info(answer.event.type, booking=item.data.booking, host=item.data.host, reason=answer.reason)

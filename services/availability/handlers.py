"""One plain function per event that availability hears. A calendar that cannot be read is unknown, and unknown is never free."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from libs.contracts.events import BookingHeld, ConnectionFact, Event, HostCalendarsChanged, ProviderSwitched
from libs.contracts.questions import HostRules, StandingRules
from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE, Incoming, Outcome, Retry
from libs.messaging.grants import AuthUnavailable
from libs.mongo.errors import StoreUnavailable
from libs.telemetry import logs
from services.availability.desk import NOT_CONNECTED, Desk
from services.availability.domain import Verdict, Window, judge
from services.availability.free import reach
from services.availability.outgoing import answer_of
from services.availability.reading import Asked, Reading
from services.availability.rules import fault
from services.availability.standing import news_of

PATIENCE = 0.7
"""The share of a hold's time after which an unreadable calendar is answered with a refusal rather than another try."""

Hold = Incoming[BookingHeld]
Found = Verdict | Reason
"""What is known of a hold, or why that is not known yet."""


def check_holds(batch: Sequence[Hold], desk: Desk) -> Sequence[Outcome]:
    """Answer each hold by its host's rules and calendars, read now: approved, refused, or asked again later."""
    outcomes: dict[int, Outcome] = {}
    try:
        rules = desk.rules.get({item.data.host for item in batch})
    except StoreUnavailable:
        return [Retry(Reason.STORE_UNAVAILABLE)] * len(batch)
    for verdicts in _verdicts(batch, rules, desk):
        now = desk.clock()
        answers = {at: _out_of_patience(batch[at], v, desk.hold, now) for at, v in verdicts.items()}
        told = {at: answer for at, answer in answers.items() if isinstance(answer, Verdict)}
        outcome = _answer([(batch[at], verdict) for at, verdict in told.items()], desk)
        outcomes |= {at: Retry(a) if isinstance(a, Reason) else outcome for at, a in answers.items()}
    return [outcomes[at] for at in range(len(batch))]


def note_bookings(batch: Sequence[Incoming[Event]], desk: Desk) -> Sequence[Outcome]:
    """Keep what bookings take of their hosts' time, so that slots leave it out."""
    try:
        desk.agenda.note([news for item in batch if (news := news_of(item, desk.hold))])
    except StoreUnavailable:
        return [Retry(Reason.STORE_UNAVAILABLE)] * len(batch)
    return [DONE] * len(batch)


def forget_access(
    batch: Sequence[Incoming[ConnectionFact | HostCalendarsChanged | ProviderSwitched]], desk: Desk
) -> Sequence[Outcome]:
    """A host's connection or choice of calendars changed: what is remembered of both is no longer good. Or a provider was
    switched: how it stands is asked at once; each replica asks every now and then anyway."""
    if any(isinstance(item.data, ProviderSwitched) for item in batch):
        desk.switches.look()
    for item in batch:
        if not isinstance(item.data, ProviderSwitched):
            desk.grants.forget(item.data.host)
            desk.reader.forget(item.data.host)
    return [DONE] * len(batch)


def _verdicts(batch: Sequence[Hold], rules: Mapping[str, StandingRules], desk: Desk) -> Iterator[dict[int, Found]]:
    """What rules and calendars say of each hold, by its place. Only what the rules allow is
    looked up, and a calendar that is slow to answer keeps no other waiting."""
    reasons = [_breach(item, rules[item.data.host].rules) for item in batch]
    try:
        access = desk.grants.of(item.data.host for item in batch)
    except AuthUnavailable:
        unknown = Reason.CALENDAR_UNREADABLE
        yield {at: Verdict(reason) if reason else unknown for at, reason in enumerate(reasons)}
        return
    known = [
        NOT_CONNECTED.get(access[item.data.host].state, reason) for item, reason in zip(batch, reasons, strict=True)
    ]
    yield {at: Verdict(reason) for at, reason in enumerate(known) if reason}
    asked = {at: _question(batch[at].data, rules) for at, reason in enumerate(known) if reason is None}
    for readings in desk.reader.live(access, asked.values()):
        yield {
            at: _judged(batch[at].data, rules[question[0]].rules, readings[question])
            for at, question in asked.items()
            if question in readings
        }


def _breach(item: Hold, rules: HostRules) -> Reason | None:
    """Notice counts from when the time was held: that an answer takes long is no fault of the request's."""
    return fault(rules, _span(item.data), item.time or item.first_seen)


def _judged(held: BookingHeld, rules: HostRules, reading: Reading) -> Found:
    """A booking that moves has an entry at the time it has now: that is not the host being busy."""
    return judge(reach(rules, _span(held)), reading.busy(_own(held))) if reading.complete else reading.trouble


def _question(held: BookingHeld, rules: Mapping[str, StandingRules]) -> Asked:
    """The time asked for with its buffers; where the booking's own entry reaches into it, all of that, to know it again."""
    return held.host, reach(rules[held.host].rules, _span(held)).with_(_own(held))


def _span(held: BookingHeld) -> Window:
    return Window(held.start.astimezone(UTC), held.end.astimezone(UTC))


def _own(held: BookingHeld) -> list[Window]:
    return [Window(held.moves.start.astimezone(UTC), held.moves.end.astimezone(UTC))] if held.moves else []


def _out_of_patience(item: Hold, found: Found, hold: timedelta, now: datetime) -> Found:
    """What is not known for long enough is refused for that."""
    since = item.time or item.first_seen
    late = isinstance(found, Reason) and now - since >= hold * PATIENCE
    return Verdict(found) if isinstance(found, Reason) and late else found


def _answer(answered: Sequence[tuple[Hold, Verdict]], desk: Desk) -> Outcome:
    """Tell the answers. What is not told is asked for again and looked at again: of several answers to one question the booking
    service takes the first, so none has to be remembered here."""
    if not answered:
        return DONE
    answers = [answer_of(item, verdict, desk.clock()) for item, verdict in answered]
    if not desk.teller.send({answer.id: [answer.event] for answer in answers}):
        return Retry(Reason.BUS_UNAVAILABLE)
    for (item, _), answer in zip(answered, answers, strict=True):
        if answer.reason == Reason.HOST_BUSY:
            desk.reader.forget(item.data.host)  # what offered this time is out of date
        logs.step(answer.event.type, item.data.booking, item.traceparent, host=item.data.host, reason=answer.reason)
    return DONE

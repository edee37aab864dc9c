"""Questions about slots, answered with the evidence they rest on: for one host, or for several at once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from libs.contracts.questions import (
    CalendarEvidence,
    HostAccess,
    HostEvidence,
    Slots,
    StandingRules,
    TeamSlots,
)
from libs.contracts.reasons import Reason
from libs.messaging.bodies import MAX_REPLY
from libs.messaging.grants import AuthUnavailable
from libs.mongo.errors import StoreUnavailable
from libs.mongo.guard import within
from libs.telemetry import metrics
from services.availability import free, teams
from services.availability.desk import NOT_CONNECTED, BadQuestion, Deadline, Desk, Limits
from services.availability.domain import Window
from services.availability.reading import Reading
from services.availability.standing import COUNTED, Standing, full_days

LONGEST = timedelta(days=62)
MOST_HOSTS = 100
AROUND = timedelta(days=2)
"""How far beyond the question bookings matter: two buffers of a day each, or the rest of a day with a limit."""
SLOT_BYTES, NAME_BYTES = 80, 3
"""Of a slot in an answer, and of a name beside its letters."""
ROOM = 100_000  # bytes, for the evidence

Mode = Literal["all", "any"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of each host. With `moving`, a booking's id, the time that this booking takes counts as free."""

    window: Window
    duration: timedelta
    moving: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What one host has to offer: starts of slots as bits (see `free`), and what that rests on. Without a `why` it is known."""

    why: Reason | None = None
    starts: int = 0
    evidence: tuple[CalendarEvidence, ...] = ()
    age: float | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of the hosts without asking a provider."""

    access: Mapping[str, HostAccess]
    rules: Mapping[str, StandingRules]
    bookings: Mapping[str, Sequence[Standing]]


def wanted(start: datetime, end: datetime, minutes: int, limits: Limits, moving: str | None = None) -> Wanted:
    """What a question asks for. Raises BadQuestion."""
    longest, grid = limits.longest // timedelta(minutes=1), limits.grid_minutes
    if not 0 < minutes <= longest or minutes % grid:
        raise BadQuestion(f"duration_minutes must be a multiple of {grid} between {grid} and {longest}")
    try:
        window = Window(start.astimezone(UTC), end.astimezone(UTC))
    except OverflowError:
        raise BadQuestion("start and end must lie within what a calendar knows") from None
    if window.end <= window.start or window.end - window.start > LONGEST:
        raise BadQuestion(f"end must be after start, and at most {LONGEST.days} days later")
    return Wanted(window, timedelta(minutes=minutes), moving)


def find_slots(host: str, ask: Wanted, desk: Desk) -> Slots:
    """Free slots of one host and the evidence for them. Raises BadQuestion if they are too many for one answer."""
    question, deadline = _question(ask, desk), Deadline(desk.answer_within)
    offer = _offers([host], ask, question, desk, deadline)[host]
    _fits(offer.starts.bit_count() * SLOT_BYTES)
    slots = free.answered(offer.starts, question) if offer.starts else []
    _measure("slots", [offer], bool(slots))
    return Slots(host=host, slots=slots, calendars=list(offer.evidence), why=offer.why)


def find_team_slots(hosts: Sequence[str], mode: Mode, ask: Wanted, desk: Desk) -> TeamSlots:
    """Slots at which all hosts are free, or any of them: then the one who was booked least comes first.

    With `all`, one host of whom it is not known leaves no slots. Raises BadQuestion.
    """
    names = list(dict.fromkeys(hosts))
    if not 1 <= len(names) <= MOST_HOSTS:
        raise BadQuestion(f"hosts must name 1 to {MOST_HOSTS} hosts")
    question, deadline = _question(ask, desk), Deadline(desk.answer_within)
    counts = _counts(names, question.now, desk, deadline) if mode == "any" else {}
    offers = _offers(names, ask, question, desk, deadline)
    starts = {host: offer.starts for host, offer in offers.items() if offer.why is None}
    slots = []
    if mode == "all" and len(starts) == len(names):
        _fits(min(bits.bit_count() for bits in starts.values()) * (SLOT_BYTES + _bytes(names)))
        slots = teams.collective_of(starts, question)
    elif mode == "any" and any(starts.values()):
        slots = teams.round_robin_of(starts, counts, question)
        _fits(sum(SLOT_BYTES + _bytes(slot.hosts) for slot in slots))
    _measure("team_slots", offers.values(), bool(slots))
    evidence = {host: HostEvidence(calendars=list(o.evidence), why=o.why) for host, o in offers.items()}
    return TeamSlots(mode=mode, slots=slots, hosts=evidence)


def _question(ask: Wanted, desk: Desk) -> free.Question:
    """Nothing is offered that has begun, or that the booking service would refuse as too far ahead."""
    now, limits = desk.clock(), desk.limits
    window = Window(max(ask.window.start, now), min(ask.window.end, now + limits.horizon))
    return free.Question(window, ask.duration, now, limits.grid_minutes)


def _offers(
    hosts: Sequence[str], ask: Wanted, question: free.Question, desk: Desk, deadline: Deadline
) -> dict[str, Offer]:
    """What each host has to offer. Several hosts are asked about together: auth and store once, providers side by side."""
    try:
        known = _known(hosts, question.window, desk, deadline)
    except (AuthUnavailable, StoreUnavailable):
        return {host: Offer(Reason.SERVICE_UNAVAILABLE) for host in hosts}
    offers = {host: Offer(_closed(known, host, ask.duration)) for host in hosts}
    if question.window.end <= question.window.start:
        return offers
    asked = {host: _to_read(host, known, ask, question) for host, offer in offers.items() if offer.why is None}
    readings = desk.reader.recent(known.access, asked.items(), deadline.left)
    return offers | {host: _offer(host, known, ask, question, readings[host, asked[host]]) for host in asked}


def _known(hosts: Sequence[str], window: Window, desk: Desk, deadline: Deadline) -> _Known:
    """Raises AuthUnavailable, StoreUnavailable."""
    around = window.widened(AROUND, AROUND)
    access = desk.grants.of(hosts, deadline.left)
    with within(deadline.left):
        return _Known(access, desk.rules.get(hosts), desk.agenda.around(hosts, around))


def _closed(known: _Known, host: str, duration: timedelta) -> Reason | None:
    """Why there is nothing to look up."""
    offered = known.rules[host].rules.durations_minutes
    unfit = Reason.DURATION_NOT_OFFERED if offered and duration // timedelta(minutes=1) not in offered else None
    return NOT_CONNECTED.get(known.access[host].state, unfit)


def _to_read(host: str, known: _Known, ask: Wanted, question: free.Question) -> Window:
    return free.reach(known.rules[host].rules, question.window).with_(_own(host, known, ask))


def _offer(host: str, known: _Known, ask: Wanted, question: free.Question, reading: Reading) -> Offer:
    if not reading.complete:
        return Offer(reading.trouble, 0, tuple(reading.evidence), reading.age)
    rules, now = known.rules[host].rules, question.now
    others = [booking for booking in known.bookings[host] if booking.booking != ask.moving]
    taken = [free.reach(rules, span) for booking in others for span in booking.spans(now)]
    busy = free.bitmap([*reading.busy(_own(host, known, ask)), *taken], question)
    starts = free.starts(rules, question, busy, full_days(rules, others, now))
    return Offer(None, starts, tuple(reading.evidence), reading.age)


def _own(host: str, known: _Known, ask: Wanted) -> list[Window]:
    """Where the entry of the booking that is to be moved stands, if it is one at this host. Held times have none."""
    return [b.stands for b in known.bookings[host] if b.booking == ask.moving and b.stands]


def _counts(hosts: Sequence[str], now: datetime, desk: Desk, deadline: Deadline) -> Mapping[str, int]:
    try:
        with within(deadline.left):
            return desk.agenda.counts(hosts, Window(now - COUNTED, now + COUNTED), now)
    except StoreUnavailable:
        return {}  # unfair for a moment is better than no answer


def _bytes(names: Collection[str]) -> int:
    return sum(len(name) + NAME_BYTES for name in names)


def _fits(size: int) -> None:
    if size > MAX_REPLY - ROOM:
        raise BadQuestion("too many slots for one answer: ask for a shorter time, or for fewer hosts")


def _measure(question: str, offers: Collection[Offer], found: bool) -> None:
    """One answer: with slots, without any, or the first reason why it is not known."""
    why = next((offer.why for offer in offers if offer.why), None)
    outcome = "offered" if found else why.value if why else "none"
    metrics.SLOT_QUESTIONS.labels(question, outcome).inc()
    ages = [offer.age for offer in offers if offer.age is not None and offer.why is None]
    if ages:
        metrics.SNAPSHOT_AGE.observe(max(ages))

"""What lies around entries: the busy times of their hosts' checked calendars, one question per account, windows joined."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from libs.contracts.events import TimeSpan
from libs.contracts.questions import CalendarAccess, HostAccess
from libs.providers.errors import ProviderError
from libs.providers.port import Busy, Interval, Unreadable
from libs.telemetry.logs import logger
from services.calendar_writer.conflicts import as_interval, as_span, overlap
from services.calendar_writer.desk import Desk
from services.calendar_writer.domain import Effect, Standing
from services.calendar_writer.looking import Look, Looker, Spot
from services.calendar_writer.places import reach

MOST_COMING = 1000  # bookings to come, of the hosts of whom something new was found, that are known as ours
MOST_SUSPECTS = 100  # further entries looked at before something is said to be the host's
A_DAY = timedelta(days=1)
JUST_REMOVED = timedelta(minutes=10)
"""So long after its removal began, an entry may be in what was read of a calendar."""

Ours = Mapping[tuple[str, str], Sequence[Interval]]


@dataclass(frozen=True, slots=True)
class Question:
    """The calendars of one account of a host, and the window to be read."""

    host: str
    calendars: Sequence[CalendarAccess]
    window: Interval


@dataclass(slots=True)
class Around:
    """What was read of one host: busy times by calendar, and whether every calendar asked for could be read."""

    busy: dict[tuple[str, str], Busy] = field(default_factory=dict)
    complete: bool = True


def overlaps(
    looks: Sequence[Look], access: Mapping[str, HostAccess], looker: Looker, desk: Desk
) -> dict[str, TimeSpan | None]:
    """What of the hosts' own lies over each booking that was looked at; missing where that is not known.

    Valet's own entries are never taken for the host's: before something new is told, the ledger is asked for all that may have
    been there, and further entries are looked at that may have been moved there.
    """
    around = _read(_questions(looks, access), looker, desk)
    found = _found(looks, around, _ours((), looks))
    if news := _news(looks, found):
        now = desk.clock()
        known = desk.ledger.coming(news, now - A_DAY, now - JUST_REMOVED, MOST_COMING)
        found = _found(looks, around, _ours(known, looks))
        if _news(looks, found):
            looks_elsewhere = looker.at(_suspects(known, looks, found, access))
            found = _found(looks, around, _ours(known, [*looks, *looks_elsewhere]))
    return {
        look.spot.effect.booking: span
        for look, span in zip(looks, found, strict=True)
        if span is not None or around[look.spot.effect.host].complete
    }


def _news(looks: Sequence[Look], found: Sequence[TimeSpan | None]) -> list[str]:
    """The hosts of whom something would be told that was not told before."""
    new = (
        look.spot.effect
        for look, span in zip(looks, found, strict=True)
        if span and span != look.spot.effect.overlapped
    )
    return list(dict.fromkeys(effect.host for effect in new))


def _questions(looks: Iterable[Look], access: Mapping[str, HostAccess]) -> list[Question]:
    by_host: defaultdict[str, list[Look]] = defaultdict(list)
    for look in looks:
        by_host[look.spot.effect.host].append(look)
    return [question for host, some in by_host.items() for question in _of_host(host, some, access[host])]


def _of_host(host: str, looks: Sequence[Look], access: HostAccess) -> Iterable[Question]:
    window = Interval(min(look.spot.booked.start for look in looks), max(look.spot.booked.end for look in looks))
    accounts: defaultdict[str, list[CalendarAccess]] = defaultdict(list)
    for calendar in access.calendars:
        if calendar.checked and calendar.token and not _blind(calendar, looks):
            accounts[calendar.connection].append(calendar)
    return (Question(host, calendars, window) for calendars in accounts.values())


def _blind(calendar: CalendarAccess, looks: Iterable[Look]) -> bool:
    """Google's busy times are merged: a calendar says nothing where all entries lie in it, at their bookings' times."""
    return calendar.provider == "google" and all(
        _name(look.spot.calendar) == _name(calendar) and look.stands == look.spot.booked for look in looks
    )


def _read(questions: Sequence[Question], looker: Looker, desk: Desk) -> defaultdict[str, Around]:
    around: defaultdict[str, Around] = defaultdict(Around)

    def ask(question: Question) -> Mapping[str, Busy | Unreadable]:
        return _asked(question, looker, desk)

    for question, answer in zip(questions, desk.together(ask, questions), strict=True):
        for calendar in question.calendars:
            busy = answer.get(calendar.calendar)
            if isinstance(busy, Busy):
                around[question.host].busy[_name(calendar)] = busy
            else:
                around[question.host].complete = False
    return around


def _asked(question: Question, looker: Looker, desk: Desk) -> Mapping[str, Busy | Unreadable]:
    first = question.calendars[0]
    if not looker.open(first):
        return {}
    names = [calendar.calendar for calendar in question.calendars]
    try:
        return desk.calendars[first.provider].busy(first.token or "", names, question.window)
    except ProviderError as error:
        looker.refused(first, question.host, error)
    except Exception as error:  # noqa: BLE001 - a fault of our own at one host must not end the others
        logger().error("busy times not read", host=question.host, error=error)
    return {}


def _found(looks: Iterable[Look], around: Mapping[str, Around], ours: Ours) -> list[TimeSpan | None]:
    return [_over(look.spot.booked, around[look.spot.effect.host], ours) for look in looks]


def _over(booked: Interval, around: Around, ours: Ours) -> TimeSpan | None:
    hits = [overlap(booked, busy, ours.get(name, ())) for name, busy in around.busy.items()]
    return as_span(min((hit for hit in hits if hit), key=lambda hit: hit.start, default=None))


def _ours(known: Iterable[Effect], looks: Iterable[Look]) -> Ours:
    """Where Valet's own entries stand, by calendar: each time of an entry that changed meanwhile, once."""
    seen = {(effect.booking, name, where) for effect in known if (name := _place(effect)) for where in _stands(effect)}
    seen |= {
        (look.spot.effect.booking, _place(look.spot.effect), look.stands) for look in looks if look.stands is not None
    }
    ours: defaultdict[tuple[str, str], list[Interval]] = defaultdict(list)
    for _, name, where in seen:
        ours[name].append(where)
    return ours


def _stands(effect: Effect) -> list[Interval]:
    booked = [Interval(effect.start, effect.end)] if effect.start and effect.end else []
    return [*booked, as_interval(effect.moved)] if effect.moved else booked


def _suspects(
    known: Iterable[Effect], looks: Sequence[Look], found: Sequence[TimeSpan | None], access: Mapping[str, HostAccess]
) -> list[Spot]:
    """Entries of the hosts concerned that were not looked at in this round: one may have been moved there just now."""
    hosts = {look.spot.effect.host for look, span in zip(looks, found, strict=True) if span}
    done = {look.spot.effect.booking for look in looks}
    others = {
        effect.booking: effect
        for effect in known
        if effect.host in hosts and effect.booking not in done and effect.standing is Standing.WRITTEN
    }
    spots = [spot for effect in others.values() if (spot := spot_of(effect, access[effect.host]))]
    return spots[:MOST_SUSPECTS]


def spot_of(effect: Effect, access: HostAccess) -> Spot | None:
    """Where to look for an entry; None if its calendar cannot be reached now."""
    calendar = reach(effect, access.calendars)
    if calendar is None or calendar.token is None or effect.start is None or effect.end is None:
        return None
    return Spot(effect, Interval(effect.start, effect.end), calendar)


def _place(effect: Effect) -> tuple[str, str]:
    return effect.connection, effect.calendar


def _name(calendar: CalendarAccess) -> tuple[str, str]:
    return calendar.connection, calendar.calendar

"""Keeping what other services say: of a booking's entry, of what the host changed there, of what the host wants of bookings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from libs.contracts.events import BookingConflictFound, CalendarEffect, HostRulesChanged
from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE, Incoming, Outcome, Poison
from libs.mongo.errors import StoreUnavailable
from libs.telemetry import metrics
from services.booking import life
from services.booking.claims import Terms
from services.booking.desk import LOST_RACE, STORE_AWAY, Desk, change, first_each, write
from services.booking.domain import Booking, CalendarState, Conflict
from services.booking.invitees import ZONES
from services.booking.store import Change

EXCUSES = frozenset(
    {Reason.PROVIDER_UNAVAILABLE, Reason.PROVIDER_SWITCHED_OFF, Reason.RATE_LIMITED, Reason.RECONNECT_NEEDED}
)
"""Why an entry may be late that is not for us to mend."""


def note_calendar_effects(batch: Sequence[Incoming[CalendarEffect]], desk: Desk) -> Sequence[Outcome]:
    """Keep what the calendar-writer says; a booking whose entry the host removed is cancelled."""
    now = desk.clock()
    notes: dict[str, CalendarState] = {}
    for item in batch:
        said = notes.get(item.data.booking)
        if said is None or (said.version, said.attempt) <= (item.data.version, item.data.attempt):
            notes[item.data.booking] = _note(item, now)
    removed = [item.data.booking for item in batch if item.data.reason is Reason.REMOVED_BY_HOST]
    try:
        bookings = desk.store.get(list(notes))
        desk.store.note_calendar(notes)
        lost = write(first_each(_removed(bookings, removed, now)), desk)
    except StoreUnavailable:
        return [STORE_AWAY] * len(batch)
    _observe_written(batch, bookings, now)
    return [LOST_RACE if item.data.booking in lost else DONE for item in batch]


def note_conflicts(batch: Sequence[Incoming[BookingConflictFound]], desk: Desk) -> Sequence[Outcome]:
    """Keep where the calendar says otherwise than the booking."""
    now = desk.clock()
    conflicts: dict[str, Conflict] = {}
    for item in batch:
        said, found = conflicts.get(item.data.booking), _conflict(item, now)
        if said is None or (said.version, said.at) <= (found.version, found.at):
            conflicts[item.data.booking] = found
    try:
        desk.store.note_conflicts(conflicts)
    except StoreUnavailable:
        return [STORE_AWAY] * len(batch)
    return [DONE] * len(batch)


def keep_host_rules(batch: Sequence[Incoming[HostRulesChanged]], desk: Desk) -> Sequence[Outcome]:
    """Keep what hosts want kept between bookings, and how many a day. It holds for times claimed from now on."""
    newest: dict[str, Terms] = {}
    for item in batch:
        said = newest.get(item.data.host)
        if item.data.time_zone in ZONES and (said is None or said.version < item.data.version):
            newest[item.data.host] = _terms(item.data)
    try:
        if newest:
            desk.hosts.keep(list(newest.values()))
    except StoreUnavailable:
        return [STORE_AWAY] * len(batch)
    return [DONE if item.data.time_zone in ZONES else Poison(Reason.UNKNOWN_TIME_ZONE) for item in batch]


def _removed(bookings: Mapping[str, Booking], removed: Iterable[str], now: datetime) -> Iterator[Change]:
    for id in removed:
        if id in bookings and (after := life.cancel(bookings[id], Reason.REMOVED_BY_HOST, now)):
            yield change(bookings[id], after)


def _note(item: Incoming[CalendarEffect], now: datetime) -> CalendarState:
    said = item.data
    state = item.type.removeprefix("calendar-").removeprefix("event-").removeprefix("write-")
    return CalendarState(state, said.provider, said.version, said.attempt, item.time or now, said.reason)


def _conflict(item: Incoming[BookingConflictFound], now: datetime) -> Conflict:
    said, found = item.data, item.data.found
    start, end = (found.start, found.end) if found else (None, None)
    return Conflict(said.version, item.time or now, said.reason, start, end)


def _terms(said: HostRulesChanged) -> Terms:
    before, after = (timedelta(minutes=m) for m in (said.buffer_before_minutes, said.buffer_after_minutes))
    return Terms(said.host, said.version, said.time_zone, before, after, said.daily_limit)


def _observe_written(batch: Sequence[Incoming[CalendarEffect]], bookings: Mapping[str, Booking], now: datetime) -> None:
    """Measure how long an entry took to stand as its booking says, once for each time that changed."""
    delayed = {(item.data.booking, item.data.version) for item in batch if item.data.reason in EXCUSES}
    for item in batch:
        booking = bookings.get(item.data.booking)
        if booking is None or item.type != "calendar-event-written":
            continue
        known = booking.calendar.version if booking.calendar and booking.calendar.state == "written" else 0
        if known < item.data.version == booking.entry.version:
            excused = (booking.id, item.data.version) in delayed or _excused(booking, item.data.version)
            seconds = metrics.WRITE_SECONDS.labels(item.data.provider, "yes" if excused else "no")
            seconds.observe((now - booking.entry.at).total_seconds())


def _excused(booking: Booking, version: int) -> bool:
    """Whether the last that was heard of this entry was that provider or host keeps it waiting."""
    last = booking.calendar
    return last is not None and last.version == version and last.reason in EXCUSES

"""Google Calendar. Busy times come from freeBusy.query alone; of an entry only id, status, times and our own mark are read.

Sources: developers.google.com/workspace/calendar/api/v3/reference (freebusy/query, events) and …/guides/errors.
"""

import hashlib
import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from libs.config.settings import Settings
from libs.contracts.events import Provider
from libs.providers.allowlist import EVENT_FIELDS
from libs.providers.answers import Answer, decode, emptied, passed
from libs.providers.egress import NO_CONNECTION, Door
from libs.providers.errors import CalendarNotFound, DeletedByHost, ForeignEntry, Unreachable
from libs.providers.google_wire import Event, FreeBusy, FreeBusyCalendar, failure
from libs.providers.port import Busy, Entry, Interval, Placed, Sighting, Unreadable
from libs.providers.spans import merged, pieces

MOST_CALENDARS: Final = 50
LONGEST_WINDOW: Final = timedelta(days=60)
GONE: Final = frozenset({404, 410})
NOT_FOUND: Final = "calendar-not-found"

LONGEST_TEXT: Final = 8192
"""Characters of a description that Google is known to take; more could have the whole entry refused."""


class GoogleCalendar:
    """The Calendar port on Google."""

    provider: Provider = "google"

    def __init__(self, door: Door, settings: Settings) -> None:
        self._door = door
        self._url = settings.google_api_url

    def busy(self, token: str, calendars: Sequence[str], window: Interval) -> Mapping[str, Busy | Unreadable]:
        """See the port. At most 50 calendars and 60 days are asked for at once, and the answers are joined."""
        as_of = datetime.now(UTC)
        names = list(dict.fromkeys(calendars))
        spans: dict[str, list[Interval]] = {name: [] for name in names}
        faults: dict[str, str] = {}
        for some in _batches(names):
            for piece in pieces(window, LONGEST_WINDOW):
                answer = self._free_busy(token, some, piece)
                for name in some:
                    _collect(name, answer.calendars.get(name), spans, faults)
        return {
            name: Unreadable(faults[name]) if name in faults else Busy(merged(spans[name], window), as_of)
            for name in names
        }

    def put(self, token: str, calendar: str, entry: Entry) -> Placed:
        """See the port. The id is the client's own, so a repeated insert answers 409 and never makes a second entry."""
        if entry.tried_before or entry.remote_id:
            standing = self._standing(token, calendar, entry)
            if standing is not None:
                return self._adjust(token, calendar, entry, standing, created=False)
            if entry.remote_id:
                self._check(token, calendar, entry)
                raise DeletedByHost("gone")
        return self._insert(token, calendar, entry)

    def look(self, token: str, calendar: str, entry: Entry) -> Sighting | None:
        """See the port. There are never extras: no two entries have the same id."""
        try:
            standing = self._standing(token, calendar, entry)
        except DeletedByHost:
            return None
        if standing is None:
            self._check(token, calendar, entry)
            return None
        return Sighting(standing.id, standing.start.instant, standing.end.instant)

    def discard(self, token: str, calendar: str, entry: Entry, remote_id: str) -> bool:
        """See the port. Nothing to do, since there are no duplicates here."""
        return False

    def remove(self, token: str, calendar: str, entry: Entry, *, for_good: bool = False) -> bool:
        """See the port. 404 and 410 mean that it is done already. What is deleted lies in the bin for about 30 days."""
        try:
            standing = self._standing(token, calendar, entry)
        except DeletedByHost:
            return False
        if standing is None:
            return False
        if for_good:
            self._empty(token, calendar, entry)
        url = self._event_url(calendar, entry.event_id)
        answer = self._door.ask("google", "events.delete", url, token=token, query={"sendUpdates": "none"})
        if answer.status in GONE:
            return False
        emptied(_good(answer))
        return True

    def _check(self, token: str, calendar: str, entry: Entry) -> None:
        """Raises CalendarNotFound if it is the whole calendar that is not there: events.get says 404 for both alike.

        Raises Unreachable if that cannot be told either.
        """
        found = self.busy(token, [calendar], Interval(entry.start, entry.end))[calendar]
        if found == Unreadable(NOT_FOUND):
            raise CalendarNotFound("google-404")
        if isinstance(found, Unreadable):
            raise Unreachable(found.why)

    def _free_busy(self, token: str, calendars: Sequence[str], window: Interval) -> FreeBusy:
        body = {
            "timeMin": _rfc3339(window.start),
            "timeMax": _rfc3339(window.end),
            "items": [{"id": c} for c in calendars],
        }
        answer = self._door.ask("google", "freebusy.query", f"{self._url}/freeBusy", token=token, body=body)
        return decode(_good(answer), FreeBusy)

    def _insert(self, token: str, calendar: str, entry: Entry) -> Placed:
        body = {"id": entry.event_id, **_body(entry)}
        query = {"sendUpdates": "none", "fields": EVENT_FIELDS}
        try:
            answer = self._door.ask(
                "google", "events.insert", self._events_url(calendar), token=token, query=query, body=body
            )
            if answer.status == 409:
                return self._read_back(token, calendar, entry, Unreachable("conflict-without-entry"), created=False)
            if answer.status == 404:
                raise CalendarNotFound("google-404")
            made = decode(_good(answer), Event)
        except Unreachable as unclear:
            if unclear.label == NO_CONNECTION:
                raise
            return self._read_back(token, calendar, entry, unclear, created=not entry.tried_before)
        return Placed(made.id, created=True)

    def _read_back(self, token: str, calendar: str, entry: Entry, unclear: Unreachable, *, created: bool) -> Placed:
        standing = self._standing(token, calendar, entry)
        if standing is None:
            raise unclear
        return self._adjust(token, calendar, entry, standing, created=created)

    def _standing(self, token: str, calendar: str, entry: Entry) -> Event | None:
        url = self._event_url(calendar, entry.event_id)
        answer = self._door.ask("google", "events.get", url, token=token, query={"fields": EVENT_FIELDS})
        return None if answer.status in GONE else _ours(decode(_good(answer), Event), entry)

    def _adjust(self, token: str, calendar: str, entry: Entry, standing: Event, *, created: bool) -> Placed:
        if not _as_wanted(standing, entry):
            query = {"sendUpdates": "none", "fields": EVENT_FIELDS}
            url = self._event_url(calendar, entry.event_id)
            answer = self._door.ask("google", "events.patch", url, token=token, query=query, body=_change(entry))
            if answer.status in GONE:
                raise DeletedByHost("gone")
            _ours(decode(_good(answer), Event), entry)
        return Placed(entry.event_id, created)

    def _empty(self, token: str, calendar: str, entry: Entry) -> None:
        """Take title and text out of our own entry. Where Google will not have it so, it is deleted all the same."""
        query = {"sendUpdates": "none", "fields": EVENT_FIELDS}
        url = self._event_url(calendar, entry.event_id)
        body = _texts(replace(entry, title="", description=""))
        passed(self._door.ask("google", "events.patch", url, token=token, query=query, body=body), failure)

    def _events_url(self, calendar: str) -> str:
        return f"{self._url}/calendars/{quote(calendar, safe='')}/events"

    def _event_url(self, calendar: str, event: str) -> str:
        return f"{self._events_url(calendar)}/{event}"


def _batches(names: Sequence[str]) -> Iterable[Sequence[str]]:
    return (names[at : at + MOST_CALENDARS] for at in range(0, len(names), MOST_CALENDARS))


def _collect(
    name: str, found: FreeBusyCalendar | None, spans: dict[str, list[Interval]], faults: dict[str, str]
) -> None:
    if found is None:
        faults[name] = "missing-from-answer"
    elif found.errors:
        faults[name] = NOT_FOUND if found.errors[0].reason == "notFound" else "calendar-error"
    else:
        spans[name] += [Interval(span.start.astimezone(UTC), span.end.astimezone(UTC)) for span in found.busy]


def _ours(event: Event, entry: Entry) -> Event:
    if event.mark != entry.mark:
        raise ForeignEntry("not-our-mark")
    if event.status == "cancelled":
        raise DeletedByHost("cancelled", told=True)
    return event


def _as_wanted(event: Event, entry: Entry) -> bool:
    return (event.starts, event.ends, event.text) == (entry.start, entry.end, _text_digest(entry))


def _body(entry: Entry) -> dict[str, Any]:
    return {
        "start": {"dateTime": _rfc3339(entry.start)},
        "end": {"dateTime": _rfc3339(entry.end)},
        **_texts(entry),
    }


def _texts(entry: Entry) -> dict[str, Any]:
    return {
        "summary": entry.title,
        "description": _as_html(entry.description),
        "extendedProperties": {"private": {"valetBooking": entry.mark, "valetText": _text_digest(entry)}},
    }


def _as_html(text: str) -> str:
    """Plain text as Google shows it: a description "can contain HTML", and what a stranger wrote must not become any.

    Source: developers.google.com/workspace/calendar/api/v3/reference/events. At most LONGEST_TEXT characters long.
    """
    escaped = html.escape(text, quote=False)
    return escaped if len(escaped) <= LONGEST_TEXT else html.escape(text[: LONGEST_TEXT // len("&amp;")], quote=False)


def _change(entry: Entry) -> dict[str, Any]:
    """A patch merges objects, so the days of an entry that the host made an all-day one are taken away by name."""
    body = _body(entry)
    return body | {name: {**body[name], "date": None} for name in ("start", "end")}


def _text_digest(entry: Entry) -> str:
    """Tells whether title and text stand as they should, without reading them. It lies beside them, in the same entry."""
    framed = f"{len(entry.title)}:{entry.title}{entry.description}"
    return hashlib.sha256(framed.encode()).hexdigest()


def _good(answer: Answer) -> Answer:
    if answer.status // 100 == 2:
        return answer
    raise failure(answer)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

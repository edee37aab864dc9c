"""Office 365 through Microsoft Graph. Busy times come from calendarView?$select=start,end,showAs alone; getSchedule is never used.

Our own entries are found by a single-value extended property, in the calendar they belong to: an entry the host deleted is
then not found, even while its immutable id still leads to the Deleted Items. Sources: learn.microsoft.com/graph/api
(calendar-list-calendarview, user-post-events, singlevaluelegacyextendedproperty-get), …/graph/outlook-immutable-id.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlsplit

from libs.config.settings import Settings
from libs.contracts.events import Provider
from libs.providers.allowlist import MARK_FILTER, MARK_PROPERTY
from libs.providers.answers import Answer, decode, emptied, passed
from libs.providers.egress import NO_CONNECTION, Door
from libs.providers.errors import CalendarNotFound, DeletedByHost, Unreachable
from libs.providers.microsoft_wire import NOT_BUSY, Found, FoundList, Made, View, Views, failure
from libs.providers.port import Busy, Entry, Interval, Placed, Sighting, Unreadable
from libs.providers.spans import merged, touching

PRIMARY: Final = "primary"
"""Stands for the mailbox's default calendar."""

PAGE: Final = 200
MOST_PAGES: Final = 50
NOT_IMPLEMENTED: Final = 501
MOST_FOUND: Final = 50
"""Entries with one mark that are seen at once; should there be more, the next look sees the rest."""


class MicrosoftCalendar:
    """The Calendar port on Microsoft Graph. Keep to four calls at once per mailbox (`limits.KeyedLimiter`)."""

    provider: Provider = "microsoft"

    def __init__(self, door: Door, settings: Settings) -> None:
        self._door = door
        self._url = settings.microsoft_graph_url

    def busy(self, token: str, calendars: Sequence[str], window: Interval) -> Mapping[str, Busy | Unreadable]:
        """See the port. One calendar after the other, each page by page to the end."""
        return {name: self._busy(token, name, window) for name in dict.fromkeys(calendars)}

    def put(self, token: str, calendar: str, entry: Entry) -> Placed:
        """See the port. A repeated create is kept from doubling by the transactionId, a late one by looking for our mark."""
        if entry.tried_before or entry.remote_id:
            standing = self._found(token, calendar, entry)
            if standing:
                return self._patch(token, entry, standing[0].id, created=False)
            if entry.remote_id:
                raise DeletedByHost("gone")
        return self._create(token, calendar, entry)

    def look(self, token: str, calendar: str, entry: Entry) -> Sighting | None:
        """See the port."""
        standing = self._found(token, calendar, entry)
        if not standing:
            return None
        itself, *extras = standing
        return Sighting(itself.id, itself.start.instant, itself.end.instant, tuple(extra.id for extra in extras))

    def remove(self, token: str, calendar: str, entry: Entry, *, for_good: bool = False) -> bool:
        """See the port. Only what carries our mark is found, so nothing else can be removed."""
        take = self._purge if for_good else self._delete
        removed = [take(token, found.id) for found in self._found(token, calendar, entry)]
        return any(removed)

    def discard(self, token: str, calendar: str, entry: Entry, remote_id: str) -> bool:
        """See the port."""
        extras = self._found(token, calendar, entry)[1:]
        return remote_id in {extra.id for extra in extras} and self._delete(token, remote_id)

    def _busy(self, token: str, calendar: str, window: Interval) -> Busy | Unreadable:
        as_of = datetime.now(UTC)
        try:
            views = list(self._views(token, calendar, window))
        except CalendarNotFound:
            return Unreadable("calendar-not-found")
        spans = [Interval(view.start.instant, view.end.instant) for view in views if view.showAs not in NOT_BUSY]
        return Busy(merged(spans, window), as_of, touching(spans, window))

    def _views(self, token: str, calendar: str, window: Interval) -> Iterator[View]:
        url = f"{self._calendar_url(calendar)}/calendarView"
        query = {
            "startDateTime": _utc(window.start) + "Z",
            "endDateTime": _utc(window.end) + "Z",
            "$select": "start,end,showAs",
            "$top": str(PAGE),
        }
        for _ in range(MOST_PAGES):
            answer = self._door.ask("microsoft", "calendarview.list", url, token=token, query=query)
            if answer.status == 404:
                raise CalendarNotFound("microsoft-404")
            page = decode(_good(answer), Views)
            yield from page.value
            if page.next_link is None:
                return
            url, query = _next_page(page.next_link)
        raise Unreachable("too-many-pages")

    def _found(self, token: str, calendar: str, entry: Entry) -> list[Found]:
        """What carries our mark: the entry itself first, then its duplicates."""
        query = {
            "$filter": MARK_FILTER.format(property=MARK_PROPERTY, mark=entry.mark),
            "$select": "id,start,end",
            "$top": str(MOST_FOUND),
        }
        answer = self._door.ask(
            "microsoft", "events.find", f"{self._calendar_url(calendar)}/events", token=token, query=query
        )
        if answer.status == 404:
            raise CalendarNotFound("microsoft-404")
        return sorted(decode(_good(answer), FoundList).value, key=lambda found: (found.id != entry.remote_id, found.id))

    def _delete(self, token: str, remote_id: str) -> bool:
        answer = self._door.ask("microsoft", "events.delete", self._event_url(remote_id), token=token)
        if answer.status in (404, 410):
            return False
        emptied(_good(answer))
        return True

    def _purge(self, token: str, remote_id: str) -> bool:
        """Past the Deleted Items, and without title and text, since administrators can still recover it for some days.

        Not every cloud has permanentDelete (https://learn.microsoft.com/graph/api/event-permanentdelete); then it is deleted.
        """
        texts = {"subject": "", "body": {"contentType": "text", "content": ""}}
        url = self._event_url(remote_id)
        passed(self._door.ask("microsoft", "events.patch", url, token=token, body=texts), failure)
        answer = self._door.ask("microsoft", "events.purge", f"{url}/permanentDelete", token=token)
        if answer.status == NOT_IMPLEMENTED or not passed(answer, failure):
            return self._delete(token, remote_id)
        emptied(answer)
        return True

    def _create(self, token: str, calendar: str, entry: Entry) -> Placed:
        body = {
            **_body(entry),
            "transactionId": entry.transaction_id,
            "singleValueExtendedProperties": [{"id": MARK_PROPERTY, "value": entry.mark}],
        }
        url = f"{self._calendar_url(calendar)}/events"
        try:
            answer = self._door.ask("microsoft", "events.create", url, token=token, body=body)
            if answer.status == 409:
                return self._after_conflict(token, calendar, entry)
            if answer.status == 404:
                raise CalendarNotFound("microsoft-404")
            made = decode(_good(answer), Made)
        except Unreachable as unclear:
            if unclear.label == NO_CONNECTION:
                raise
            return self._read_back(token, calendar, entry, unclear)
        return Placed(made.id, created=True)

    def _after_conflict(self, token: str, calendar: str, entry: Entry) -> Placed:
        standing = self._found(token, calendar, entry)
        if standing:
            return self._patch(token, entry, standing[0].id, created=False)
        # The transactionId is used up, yet nothing of ours stands: it was made, and the host took it away.
        raise DeletedByHost("used-up")

    def _read_back(self, token: str, calendar: str, entry: Entry, unclear: Unreachable) -> Placed:
        standing = self._found(token, calendar, entry)
        if not standing:
            raise unclear
        return self._patch(token, entry, standing[0].id, created=not entry.tried_before)

    def _patch(self, token: str, entry: Entry, remote_id: str, *, created: bool) -> Placed:
        answer = self._door.ask("microsoft", "events.patch", self._event_url(remote_id), token=token, body=_body(entry))
        if answer.status in (404, 410):
            raise DeletedByHost("gone")
        decode(_good(answer), Made)
        return Placed(remote_id, created)

    def _calendar_url(self, calendar: str) -> str:
        return (
            f"{self._url}/me/calendar"
            if calendar == PRIMARY
            else f"{self._url}/me/calendars/{quote(calendar, safe='')}"
        )

    def _event_url(self, remote_id: str) -> str:
        return f"{self._url}/me/events/{quote(remote_id, safe='')}"


def _next_page(link: str) -> tuple[str, dict[str, str]]:
    """Address and query of the next page. Wherever it leads, the door judges it like any other request."""
    there = urlsplit(link)
    return there._replace(query="").geturl(), dict(parse_qsl(there.query, keep_blank_values=True))


def _body(entry: Entry) -> dict[str, Any]:
    return {
        "subject": entry.title,
        "body": {"contentType": "text", "content": entry.description},
        "start": {"dateTime": _utc(entry.start), "timeZone": "UTC"},
        "end": {"dateTime": _utc(entry.end), "timeZone": "UTC"},
        "isAllDay": False,  # the host may have made it so, and then Graph takes midnights only
    }


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat()


def _good(answer: Answer) -> Answer:
    if answer.status // 100 == 2:
        return answer
    raise failure(answer)

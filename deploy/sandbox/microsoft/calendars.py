"""Graph's calendars, calendarView and getSchedule: learn.microsoft.com/graph/api/calendar-list-calendarview."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.responses import Response

from deploy.sandbox.accounts import Account
from deploy.sandbox.calendars import Calendar
from deploy.sandbox.call import JSON, Call
from deploy.sandbox.microsoft.answer import answering, calendar_of, page_of_events
from deploy.sandbox.microsoft.errors import Refused
from deploy.sandbox.microsoft.odata import Preferences, page, selected, selection
from deploy.sandbox.microsoft.resource import span
from deploy.sandbox.times import graph_local, instant

MOST_DAYS: Final = 1825
FIELDS: Final = frozenset(
    {"id", "name", "color", "hexColor", "isDefaultCalendar", "changeKey", "canShare", "canViewPrivateItems", "canEdit"}
    | {"isTallyingResponses", "isRemovable", "allowedOnlineMeetingProviders", "defaultOnlineMeetingProvider", "owner"}
)


def me(call: Call) -> Response:
    """The person's profile."""
    person = call.person
    return JSON(
        {
            "@odata.context": f"{call.base}/graph/v1.0/$metadata#users/$entity",
            "id": person.subject,
            "displayName": person.name,
            "mail": person.email,
            "userPrincipalName": person.email,
        }
    )


def _calendar(account: Account, calendar: Calendar) -> dict[str, Any]:
    return {
        "id": calendar.id,
        "name": calendar.name,
        "color": "auto",
        "hexColor": "",
        "isDefaultCalendar": calendar is account.main,
        "changeKey": f"{calendar.created:016X}",
        "canShare": calendar.role == "owner",
        "canViewPrivateItems": calendar.role == "owner",
        "canEdit": calendar.role in ("owner", "writer"),
        "isTallyingResponses": calendar is account.main,
        "isRemovable": calendar is not account.main,
        "allowedOnlineMeetingProviders": ["teamsForBusiness"],
        "defaultOnlineMeetingProvider": "teamsForBusiness",
        "owner": {"name": account.name, "address": account.email},
    }


def _listing(call: Call, _: Preferences) -> dict[str, Any]:
    rows, more = page(call, list(call.person.calendars.values()))
    kept = selection(call, FIELDS)
    value = [selected(_calendar(call.person, calendar), kept) for calendar in rows]
    return {"@odata.context": f"{call.base}/graph/v1.0/$metadata#me/calendars", "value": value, **more}


def _get(call: Call, _: Preferences) -> dict[str, Any]:
    answer = selected(_calendar(call.person, calendar_of(call)), selection(call, FIELDS))
    return {"@odata.context": f"{call.base}/graph/v1.0/$metadata#me/calendars/$entity", **answer}


def _bound(call: Call, name: str) -> datetime:
    text = call.first(name)
    if not text:
        raise Refused(400, "ErrorInvalidParameter", f"This request requires a time window: {name} is missing.")
    try:
        # A plus sign that the client did not encode arrives as a space.
        return instant(text.replace(" ", "+"), UTC)
    except ValueError as wrong:
        raise Refused(400, "ErrorInvalidParameter", f"The value of parameter '{name}' is invalid.") from wrong


def _view(call: Call, prefer: Preferences) -> dict[str, Any]:
    start, end = _bound(call, "startDateTime"), _bound(call, "endDateTime")
    if end < start:
        raise Refused(400, "ErrorInvalidParameter", "The end of the time window is before its start.")
    if end - start > timedelta(days=MOST_DAYS):
        text = f"The range between the start and end dates is greater than the allowed range. Maximum number of days: {MOST_DAYS}"
        raise Refused(400, "ErrorCalendarViewRangeTooBig", text)
    return page_of_events(call, prefer, calendar_of(call).between(start, end))


def _schedule(call: Call, prefer: Preferences) -> dict[str, Any]:
    """Busy times of several people, subjects included: the reason why a careful client never asks for it."""
    try:
        body = call.json()
        start, end = span({"start": body["startTime"], "end": body["endTime"]})
        asked = [str(address).lower() for address in body["schedules"]]
    except (ValueError, KeyError, TypeError) as broken:
        raise Refused(400, "BadRequest", "Unable to read JSON request payload.") from broken
    value = [_schedule_of(call, prefer, address, (start, end)) for address in asked]
    return {"@odata.context": f"{call.base}/graph/v1.0/$metadata#Collection(scheduleInformation)", "value": value}


def _schedule_of(call: Call, prefer: Preferences, address: str, when: tuple[datetime, datetime]) -> dict[str, Any]:
    person = call.world.account("microsoft", address)
    if person is None:
        error = {"message": "The mailbox was not found.", "responseCode": "ErrorMailRecipientNotFound"}
        return {"scheduleId": address, "availabilityView": "", "scheduleItems": [], "error": error}
    items = [
        {
            "status": event.fields.get("showAs", "busy"),
            "subject": event.fields.get("subject", ""),
            "location": event.fields.get("location", {}).get("displayName", ""),
            "isPrivate": event.fields.get("sensitivity") == "private",
            "start": {"dateTime": graph_local(event.start, prefer.where), "timeZone": prefer.zone_name},
            "end": {"dateTime": graph_local(event.end, prefer.where), "timeZone": prefer.zone_name},
        }
        for event in person.main.between(*when)
    ]
    return {"scheduleId": address, "availabilityView": "", "scheduleItems": items}


listing, get, view, schedule = (answering(work) for work in (_listing, _get, _view, _schedule))

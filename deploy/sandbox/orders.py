"""What the admin API takes, as typed structs: msgspec checks them and names the field that is wrong."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from deploy.sandbox.accounts import Account, Provider
from deploy.sandbox.calendars import Event
from deploy.sandbox.google import resource as google
from deploy.sandbox.microsoft import resource as microsoft
from deploy.sandbox.times import graph_local, instant, midnight, rfc3339, zone

Role = Literal["owner", "writer", "reader", "freeBusyReader"]
ShowAs = Literal["free", "tentative", "busy", "oof", "workingElsewhere"]


class Order(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The base of all: a field that is not known is an error."""


class CalendarOrder(Order):
    """A secondary calendar."""

    name: str
    role: Role = "owner"


class AccountOrder(Order):
    """A made-up person. An account that exists already is left as it is."""

    provider: Provider
    email: str
    name: str = ""
    time_zone: str = "UTC"
    calendars: list[CalendarOrder] = []


class ClientOrder(Order):
    """An app registration. Without redirect_uris any address on this machine is taken."""

    provider: Provider
    client_id: str
    client_secret: str
    redirect_uris: list[str] = []


class WhoOrder(Order):
    """An account, or all of a provider, or all."""

    provider: Provider | None = None
    email: str = ""


class EventOrder(Order):
    """An event the person put into the calendar without Valet.

    `start` and `end` are RFC 3339 times with an offset, or days (YYYY-MM-DD, the end excluded) if `all_day`. Without an `id` it
    gets one of the provider's making.
    """

    provider: Provider
    email: str
    start: str
    end: str
    id: str = ""
    calendar: str = ""
    title: str = ""
    body: str = ""
    location: str = ""
    attendees: list[str] = []
    show_as: ShowAs = "busy"
    all_day: bool = False
    cancelled: bool = False


class ChangeOrder(Order):
    """A change of an event, by the person, in their own calendar."""

    start: str = ""
    end: str = ""
    title: str | None = None
    show_as: ShowAs | None = None
    all_day: bool | None = None
    calendar: str = ""


def span_of(account: Account, start: str, end: str, all_day: bool) -> tuple[datetime, datetime]:
    """The two instants. ValueError if one is malformed or the end is before the start."""
    where = zone(account.time_zone if account.provider == "google" else "UTC")
    begun, ended = ((midnight(text, where) if all_day else instant(text)) for text in (start, end))
    if ended < begun:
        raise ValueError("end: it is before the start")
    return begun, ended


def new_event(account: Account, order: EventOrder, identity: str) -> Event:
    """The event as its provider would store it. ValueError if a time is malformed."""
    when = span_of(account, order.start, order.end, order.all_day)
    make = _google_fields if account.provider == "google" else _microsoft_fields
    event = Event(identity, *when, make(order), origin="outside", cancelled=order.cancelled)
    event.fields.update(time_fields(account, when, order.all_day))
    return event


def time_fields(account: Account, when: tuple[datetime, datetime], all_day: bool) -> dict[str, Any]:
    """`start` and `end` as the provider writes them."""
    if account.provider == "microsoft":
        return {
            name: {"dateTime": graph_local(at), "timeZone": "UTC"}
            for name, at in zip(("start", "end"), when, strict=True)
        }
    where = zone(account.time_zone)
    shown = [{"date": at.astimezone(where).date().isoformat()} if all_day else {"dateTime": rfc3339(at)} for at in when]
    return {"start": shown[0], "end": shown[1]}


def _google_fields(order: EventOrder) -> dict[str, Any]:
    fields: dict[str, Any] = {"summary": order.title, **google_show_as(order.show_as)}
    if order.cancelled:
        fields["status"] = "cancelled"
    texts = {"description": order.body, "location": order.location}
    fields |= {name: text for name, text in texts.items() if text}
    if order.attendees:
        fields["attendees"] = [{"email": address, "responseStatus": "accepted"} for address in order.attendees]
    return google.written(fields)


def google_show_as(show_as: ShowAs) -> dict[str, str]:
    """Google's words for it: `free` is transparent, the rest is opaque."""
    status = "tentative" if show_as == "tentative" else "confirmed"
    return {"transparency": "transparent" if show_as == "free" else "opaque", "status": status}


def _microsoft_fields(order: EventOrder) -> dict[str, Any]:
    people = [
        {"type": "required", "status": {"response": "accepted"}, "emailAddress": {"name": address, "address": address}}
        for address in order.attendees
    ]
    fields: dict[str, Any] = {
        "subject": order.title,
        "showAs": order.show_as,
        "isAllDay": order.all_day,
        "attendees": people,
    }
    fields["location"] = {"displayName": order.location}
    fields["body"] = {"contentType": "text", "content": order.body}
    return microsoft.written(fields)


def apply_change(account: Account, event: Event, order: ChangeOrder) -> tuple[datetime, datetime]:
    """Change the event's fields; its new span. ValueError if a time is malformed."""
    was_all_day = "date" in event.fields["start"] or bool(event.fields.get("isAllDay"))
    all_day = was_all_day if order.all_day is None else order.all_day
    if all_day != was_all_day and not (order.start and order.end):
        raise ValueError("all_day: start and end are needed with it")
    was = (event.start.isoformat(), event.end.isoformat())
    if order.start or order.end:
        when = span_of(account, order.start or was[0], order.end or was[1], all_day)
    else:
        when = (event.start, event.end)
    fields = {**event.fields, **time_fields(account, when, all_day)}
    if account.provider == "microsoft":
        fields["isAllDay"] = all_day
    if order.title is not None:
        fields["summary" if account.provider == "google" else "subject"] = order.title
    if order.show_as is not None:
        fields |= google_show_as(order.show_as) if account.provider == "google" else {"showAs": order.show_as}
    event.fields = fields
    return when

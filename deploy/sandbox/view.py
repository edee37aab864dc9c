"""What the admin API shows of accounts and events."""

from datetime import UTC
from typing import Any

from deploy.sandbox.accounts import Account
from deploy.sandbox.calendars import Calendar, Event
from deploy.sandbox.google import resource as google
from deploy.sandbox.microsoft import resource as microsoft
from deploy.sandbox.microsoft.odata import Preferences
from deploy.sandbox.times import rfc3339
from deploy.sandbox.world import World

IMMUTABLE = Preferences(UTC, "UTC", True, "")


def account_view(world: World, account: Account, events: bool, raw: bool = True) -> dict[str, Any]:
    """An account, with all its events if asked, each with its raw resource if asked.

    `created` counts the events written through the provider's API, ever.
    """
    shown: dict[str, Any] = {
        "provider": account.provider,
        "email": account.email,
        "name": account.name,
        "time_zone": account.time_zone,
        "subject": account.subject,
        "tenant": account.tenant if account.provider == "microsoft" else "",
        "created": sum(calendar.created for calendar in account.calendars.values()),
        "most_in_flight": world.most_in_flight.get(f"{account.provider}:{account.email}", 0),
        "calendars": [
            {"id": c.id, "name": c.name, "role": c.role, "created": c.created} for c in account.calendars.values()
        ],
    }
    if events:
        shown["notifications"] = [note for c in account.calendars.values() for note in c.notifications]
        shown["events"] = [
            event_view(account, c, event, raw) for c in account.calendars.values() for event in c.events.values()
        ]
        shown["bin"] = [
            event_view(account, c, event, raw) for c in account.calendars.values() for event in c.bin.values()
        ]
    return shown


def event_view(account: Account, calendar: Calendar, event: Event, raw: bool = True) -> dict[str, Any]:
    """An event in the sandbox's own words, and `raw` as the provider would answer it (with Graph's extended properties)."""
    shown = {
        "id": event.id,
        "calendar": calendar.id,
        "origin": event.origin,
        "cancelled": event.cancelled,
        "start": rfc3339(event.start),
        "end": rfc3339(event.end),
        "version": event.version,
        "properties": event.properties,
    }
    return {**shown, "raw": _raw(account, calendar, event)} if raw else shown


def _raw(account: Account, calendar: Calendar, event: Event) -> dict[str, Any]:
    if account.provider == "google":
        return google.rendered(account, calendar, event)
    stamps = [{"id": name, "value": value} for name, value in event.properties.items()]
    return {**microsoft.rendered(account, event, IMMUTABLE), "singleValueExtendedProperties": stamps}

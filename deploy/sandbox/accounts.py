"""The made-up people whose calendars the sandbox holds."""

import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal

from deploy.sandbox.calendars import Calendar, Event

Provider = Literal["google", "microsoft"]


@dataclass(slots=True, eq=False)
class Account:
    """One person's account. `transactions` remembers Graph's transactionIds: id -> (event, time it was used)."""

    provider: Provider
    email: str
    name: str
    time_zone: str = "UTC"
    calendars: dict[str, Calendar] = field(default_factory=dict)
    transactions: "OrderedDict[str, tuple[Event, float]]" = field(default_factory=OrderedDict)

    @property
    def subject(self) -> str:
        """The stable id of the person at the provider: Google's `sub` is digits, Microsoft's `oid` is a UUID."""
        stable = uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.provider}:{self.email}")
        return str(stable) if self.provider == "microsoft" else str(stable.int)[:21]

    @property
    def tenant(self) -> str:
        """Microsoft's tenant id: one per domain of the address."""
        return tenant_of(self.email.rpartition("@")[2])

    @property
    def main(self) -> Calendar:
        """The primary calendar."""
        return next(iter(self.calendars.values()))

    def calendar(self, calendar_id: str) -> Calendar | None:
        """The calendar of that id; `primary` is an alias for the main one, as with Google."""
        return self.main if calendar_id == "primary" else self.calendars.get(calendar_id)

    def find(self, event_id: str) -> tuple[Calendar, Event] | None:
        """An event of any of the calendars, with the calendar it is in; one that stands comes before one that is cancelled."""
        held = ((calendar, calendar.events.get(event_id)) for calendar in self.calendars.values())
        found = [(calendar, event) for calendar, event in held if event is not None]
        return min(found, key=lambda pair: pair[1].cancelled, default=None)


def tenant_of(domain: str) -> str:
    """The made-up tenant id of a domain."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"tenant:{domain.lower()}"))


def calendar_id(provider: Provider, email: str, name: str) -> str:
    """The id a calendar gets: Google's main one is the address itself, every other is opaque."""
    if provider == "google" and not name:
        return email
    opaque = uuid.uuid5(uuid.NAMESPACE_DNS, f"{provider}:{email}:{name}").hex
    return f"{opaque}@group.calendar.google.com" if provider == "google" else f"AAMkAGI{opaque}AAA="


def new_account(provider: Provider, email: str, name: str, time_zone: str) -> Account:
    """An account with its main calendar, empty."""
    account = Account(provider, email, name, time_zone)
    main = Calendar(calendar_id(provider, email, ""), "Calendar" if provider == "microsoft" else email)
    account.calendars[main.id] = main
    return account

"""What hosts do to entries in their own calendars is noticed, respected and told; what is not theirs is left alone."""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from deploy.local.stack import Stack
from deploy.sandbox.accounts import Provider
from tests.e2e.world import Heard, World, hear, ours, tomorrow

BOTH: list[Provider] = ["google", "microsoft"]
HALF_AN_HOUR = timedelta(minutes=30)


@dataclass(frozen=True)
class Host:
    """A connected host, and the bookings that stand in the calendar."""

    name: str
    account: str
    bookings: Sequence[str]


def booked(world: World, wanted: Sequence[tuple[str, datetime]]) -> list[str]:
    """Bookings that stand in their hosts' calendars; their ids."""
    heard, requests = Heard(), [world.request(host, start) for host, start in wanted]
    with world.tap() as tap:
        world.emit(requests)
        assert hear(
            tap,
            heard,
            lambda h: len(h.written() & set(confirmed := h.confirmed(requests))) == len(confirmed) == len(requests),
            60,
        ), heard.events
    ids = {fact["request"]["id"]: booking for booking, fact in heard.confirmed(requests).items()}
    return [ids[request["id"]] for request in requests]


STARTS: dict[str, tuple[Provider, Sequence[datetime]]] = {
    "deletes-google": ("google", (tomorrow(), tomorrow(14))),
    "deletes-microsoft": ("microsoft", (tomorrow(), tomorrow(14))),
    "moves-google": ("google", (tomorrow(),)),
    "moves-microsoft": ("microsoft", (tomorrow(),)),
    "overlaps": ("microsoft", (tomorrow(), tomorrow() + HALF_AN_HOUR)),
}
"""What each test needs to stand: the provider, and when bookings start."""


@pytest.fixture(scope="module")
def hosts(_services: Stack) -> dict[str, Host]:
    """All that stands is made at once: the writer looks at an entry only some seconds after it wrote it, and one wait is enough."""
    world, own = World(_services), uuid.uuid4().hex[:8]
    accounts = {name: world.connect(f"{name}-{own}", provider) for name, (provider, _) in STARTS.items()}
    wanted = [(f"{name}-{own}", start) for name, (_, starts) in STARTS.items() for start in starts]
    ids = iter(booked(world, wanted))
    return {name: Host(f"{name}-{own}", accounts[name], [next(ids) for _ in STARTS[name][1]]) for name in STARTS}


def reconciled(world: World, hosts: Sequence[Host], until: Callable[[Heard], object], seconds: float = 40) -> Heard:
    """Have the writer look at these hosts' entries, again and again, until something was heard."""
    heard, deadline = Heard(), time.monotonic() + seconds
    with world.tap() as tap:
        while not until(heard) and time.monotonic() < deadline:
            for host in hosts:
                world.ask("calendar-writer", "reconcile", host.name)
            hear(tap, heard, until, 1.5)
    return heard


def of(heard: Heard, kind: str, booking: str) -> list[dict[str, Any]]:
    return [event["data"] for event in heard.of(kind) if event["data"]["booking"] == booking]


def test_a_host_who_deletes_the_entry_cancels_the_booking(world: World, hosts: dict[str, Host]) -> None:
    # given a booking in a calendar, and another one beside it, at each provider
    deleting = {provider: hosts[f"deletes-{provider}"] for provider in BOTH}
    # when the hosts delete its entry (at once: each is looked for twice, with some seconds between)
    for provider, host in deleting.items():
        entry = next(e for e in world.entries(provider, host.account) if starts(e) == tomorrow())
        world.sandbox.delete_event(provider, host.account, entry["id"])
    gone = [host.bookings[0] for host in deleting.values()]
    heard = reconciled(world, list(deleting.values()), lambda h: all(of(h, "booking-cancelled", id) for id in gone))
    # then the booking is over, by the host's own hand, and the other one stands
    for provider, host in deleting.items():
        booking, other = host.bookings
        (cancelled,) = of(heard, "booking-cancelled", booking)
        assert cancelled["reason"] == "removed-by-host"
        assert [d["reason"] for d in of(heard, "calendar-event-removed", booking)] == ["removed-by-host"]
        assert [starts(e) for e in world.entries(provider, host.account)] == [tomorrow(14)]
        assert not of(heard, "booking-cancelled", other)


@pytest.mark.parametrize("provider", BOTH)
def test_a_host_who_moves_the_entry_is_respected(world: World, hosts: dict[str, Host], provider: Provider) -> None:
    # given a booking in a calendar
    host, moved_to = hosts[f"moves-{provider}"], tomorrow(16)
    account, (booking,) = host.account, host.bookings
    # when the host moves its entry
    (entry,) = world.entries(provider, account)
    world.sandbox.change_event(provider, account, entry["id"], start=moved_to, end=moved_to + HALF_AN_HOUR)
    heard = reconciled(world, [host], lambda h: of(h, "booking-conflict-found", booking))
    # then that is told once, however often one looks, and nothing is moved back
    found = world.ask("calendar-writer", "reconcile", host.name)
    (conflict,) = of(heard, "booking-conflict-found", booking)
    assert (conflict["reason"], instant(conflict["found"]["start"])) == ("moved-by-host", moved_to)
    assert instant(conflict["start"]) == tomorrow()
    assert (found["looked"], found["moved"], found["removed"]) == (1, 1, 0)
    assert [starts(e) for e in world.entries(provider, account)] == [moved_to]


def test_what_a_host_puts_over_a_booking_is_found(world: World, hosts: dict[str, Host]) -> None:
    # given two bookings side by side in a calendar whose entries can be told apart
    host = hosts["overlaps"]
    account, (booking, neighbour) = host.account, host.bookings
    # when the host puts something of their own over the first one
    start, end = tomorrow() + timedelta(minutes=10), tomorrow() + timedelta(minutes=20)
    world.sandbox.add_event("microsoft", account, start, end, title="Secret plan")
    heard = reconciled(world, [host], lambda h: of(h, "booking-conflict-found", booking))
    # then that is told, with the time alone, and the neighbour is in no conflict
    (conflict,) = of(heard, "booking-conflict-found", booking)
    assert conflict["reason"] == "overlapped-by-host"
    assert (instant(conflict["found"]["start"]), instant(conflict["found"]["end"])) == (start, end)
    assert not of(heard, "booking-conflict-found", neighbour)


def test_our_own_entries_side_by_side_are_no_conflict(world: World, names: str) -> None:
    # given bookings one after the other at both providers
    for provider in BOTH:
        host = f"host-{provider[0]}-{names}"
        world.connect(host, provider)
        booked(world, [(host, tomorrow() + n * HALF_AN_HOUR) for n in range(3)])
        # when they are compared with the calendar
        found = world.ask("calendar-writer", "reconcile", host)
        # then there is nothing to say
        assert found == {"looked": 3} | dict.fromkeys(
            ("written", "removed", "duplicates", "moved", "overlaps", "unreadable"), 0
        )


def test_a_duplicate_of_ours_is_removed_and_nothing_else(world: World, names: str) -> None:
    # given a booking, an entry of the host's own, and a second entry with our mark, as a create that doubled leaves it
    host = f"host-{names}"
    account = world.connect(host, "microsoft")
    booked(world, [(host, tomorrow())])
    world.sandbox.add_event("microsoft", account, tomorrow(12), tomorrow(13), title="Lunch")
    doubled(world, host, account)
    assert len(world.entries("microsoft", account)) == 2
    # when the entries are compared with the calendar
    found = world.ask("calendar-writer", "reconcile", host)
    # then one of ours is left, and what is the host's
    assert found["duplicates"] == 1
    assert len(world.entries("microsoft", account)) == 1
    assert len([e for e in world.sandbox.events("microsoft", account) if not ours(e)]) == 1


def doubled(world: World, host: str, account: str) -> None:
    """Make a second entry like ours, through the provider's own API."""
    (entry,) = world.entries("microsoft", account)
    access = world.ask("auth", "access_tokens", [host])[host]
    body = {
        "subject": "Again",
        "start": entry["raw"]["start"],
        "end": entry["raw"]["end"],
        "singleValueExtendedProperties": entry["raw"]["singleValueExtendedProperties"],
    }
    answer = requests.post(
        f"{world.operator.microsoft_graph_url}/me/calendar/events",
        json=body,
        headers={"Authorization": f"Bearer {access['calendars'][0]['token']}"},
        verify=world.ca,
        timeout=10,
    )
    assert answer.status_code == 201, answer.text


def starts(entry: dict[str, Any]) -> datetime:
    return instant(entry["start"])


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)

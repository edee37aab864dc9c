"""When a host can be booked, on real parts: rules, calendars of two providers, bookings under way, and many who ask at once."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from deploy.sandbox.accounts import Provider
from libs.contracts.questions import Slots, StandingRules, TeamSlots
from libs.contracts.reasons import Reason
from libs.messaging.errors import RpcFailed
from tests.e2e.world import Heard, World, envelope, hear, tomorrow

HOUR = timedelta(hours=1)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
BOTH: list[Provider] = ["google", "microsoft"]
READ = {"google": "google.freeBusy", "microsoft": "microsoft.calendarView"}
INSERT = {"google": "google.events.insert", "microsoft": "microsoft.events.create"}


def about(heard: Heard, host: str, kind: str) -> list[dict[str, Any]]:
    """What was heard of one host; others are on the same bus."""
    return [event["data"] for event in heard.of(kind) if event["data"]["host"] == host]


def slots(world: World, host: str, start: datetime, hours: float = 4, minutes: int = 60, **more: Any) -> Slots:
    answer = world.ask("availability", "slots", host, start, start + hours * HOUR, minutes, **more)
    return msgspec.convert(answer, Slots)


def at(answer: Slots, start: datetime) -> list[float]:
    """When the slots begin, in hours after `start`."""
    return [(slot.start - start) / HOUR for slot in answer.slots]


def until(world: World, host: str, start: datetime, holds: Callable[[Slots], bool], **more: Any) -> Slots:
    """Ask again until the answer is as it should be: what services hear of each other takes a moment."""
    deadline = time.monotonic() + 30
    while not holds(answer := slots(world, host, start, **more)):
        assert time.monotonic() < deadline, answer
        time.sleep(0.2)
    return answer


def set_rules(world: World, host: str, **rules: Any) -> StandingRules:
    return msgspec.convert(world.ask("availability", "set_host_rules", host, rules), StandingRules)


def decided(world: World, heard: Heard, *requests: dict[str, Any]) -> None:
    """Emit these and wait until each has an outcome."""
    with world.tap() as tap:
        world.emit(requests)
        assert hear(tap, heard, lambda h: all(h.outcome(r["id"]) for r in requests), 30), heard.events


def test_rules_shape_slots_and_refuse_holds(world: World, names: str) -> None:
    # given a host with hours, buffers, one length and a notice, and an entry of the host's own
    host, start, heard = f"rules-{names}", tomorrow(9), Heard()
    account = world.connect(host, "google")
    world.sandbox.add_event("google", account, start + HOUR, start + 1.5 * HOUR, title="Secret plan")
    hours = {day: [{"start": "09:00", "end": "13:00"}] for day in DAYS}
    with world.tap("host-rules-changed") as tap:
        standing = set_rules(
            world,
            host,
            weekly=hours,
            durations_minutes=[30],
            step_minutes=30,
            buffer_before_minutes=30,
            minimum_notice_minutes=60,
        )
        assert hear(tap, heard, lambda h: h.of("host-rules-changed"), 20)
    # then they stand, and the event says what booking must know
    assert world.ask("availability", "host_rules", host) == msgspec.to_builtins(standing)
    assert standing.version == 1
    (told,) = heard.of("host-rules-changed")
    assert (told["data"]["host"], told["data"]["buffer_before_minutes"]) == (host, 30)
    # and slots keep to hours, step and buffers
    assert at(slots(world, host, start - 2 * HOUR, 8, 30), start) == [0, 0.5, 2, 2.5, 3, 3.5]
    # and whatever breaks a rule is rejected for that reason, not only left out of slots
    wrong = {
        "outside-hours": world.request(host, start - HOUR),
        "duration-not-offered": world.request(host, start, 60),
        "host-busy": world.request(host, start + 1.5 * HOUR),
    }
    right = world.request(host, start + 3 * HOUR)
    decided(world, heard, *wrong.values(), right)
    reasons = {reason: (heard.outcome(request["id"]) or {})["data"].get("reason") for reason, request in wrong.items()}
    assert reasons == {reason: reason for reason in wrong}
    assert (heard.outcome(right["id"]) or {})["type"] == "booking-confirmed"


@pytest.mark.parametrize("wrong", [{"step_minutes": 3}, {"time_zone": "America/Nowhere"}, {"dayly_limit": 2}])
def test_rules_that_make_no_sense_are_named(world: World, names: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(RpcFailed) as caught:
        set_rules(world, f"bad-{names}", **wrong)
    assert (caught.value.kind, *wrong) == ("BadQuestion", *[name for name in wrong if name in caught.value.detail])


@pytest.mark.parametrize("provider", BOTH)
def test_a_booking_is_left_out_of_slots_before_it_is_in_the_calendar(
    world: World, names: str, provider: Provider
) -> None:
    # given a provider that takes no entries for now
    host, start, heard = f"early-{names}", tomorrow(), Heard()
    account = world.connect(host, provider)
    fault = world.sandbox.add_fault(INSERT[provider], "status", status=503, count=1000, account=account)
    # when a booking is confirmed
    decided(world, heard, world.request(host, start + HOUR, 60))
    # then slots leave it out, though the calendar knows nothing of it
    answer = until(world, host, start, lambda a: 1 not in at(a, start))
    assert at(answer, start) == [0, 2, 2.25, 2.5, 2.75, 3]
    assert world.entries(provider, account) == []
    # and who moves this booking is offered its own time too
    (booking,) = {e["data"]["booking"] for e in heard.of("booking-confirmed")}
    assert len(slots(world, host, start, moving=booking).slots) == 13
    world.sandbox.clear_faults(fault)


@pytest.mark.parametrize("provider", BOTH)
def test_a_move_to_a_time_that_overlaps_its_own_entry_is_approved(world: World, names: str, provider: Provider) -> None:
    # given a booking that stands in the calendar, with buffers, and an entry of the host's own further on
    host, start, heard = f"move-{names}", tomorrow(), Heard()
    account = world.connect(host, provider)
    set_rules(world, host, buffer_before_minutes=15, buffer_after_minutes=15)
    world.sandbox.add_event(provider, account, start + 3 * HOUR, start + 4 * HOUR, title="Secret plan")
    with world.tap() as tap:
        world.emit([world.request(host, start, 60)])
        assert hear(tap, heard, lambda h: about(h, host, "calendar-event-written"), 30), heard.events
        booking = about(heard, host, "calendar-event-written")[0]["booking"]
        # when it is to move by half an hour
        span = {"start": (start + HOUR / 2).isoformat(), "end": (start + 1.5 * HOUR).isoformat()}
        world.emit([envelope("reschedule-requested", {"booking": booking, **span})])
        # then it moves
        assert hear(tap, heard, lambda h: about(h, host, "booking-rescheduled"), 30), heard.events
        # and onto the host's own entry it does not
        span = {"start": (start + 2.5 * HOUR).isoformat(), "end": (start + 3.5 * HOUR).isoformat()}
        world.emit([envelope("reschedule-requested", {"booking": booking, **span})])
        assert hear(tap, heard, lambda h: about(h, host, "change-refused"), 30), heard.events
    (refused,) = about(heard, host, "change-refused")
    assert refused["reason"] == "host-busy"
    # and its old time is free again, as soon as the calendar is read anew
    answer = slots(world, host, start, moving=booking)
    assert answer.why is None


def test_two_calendars_of_two_providers_both_count(world: World, names: str) -> None:
    # given a host who is connected at both, with an entry in each
    host, start, heard = f"two-{names}", tomorrow(), Heard()
    for number, provider in enumerate(BOTH):
        account = world.connect(host, provider)
        world.sandbox.add_event(
            provider, account, start + (1 + 2 * number) * HOUR, start + (2 + 2 * number) * HOUR, title="Secret plan"
        )
    # when slots are asked for
    answer = until(world, host, start, lambda a: len(a.calendars) == 2, hours=5)
    # then both are left out, and the evidence names both
    assert at(answer, start) == [0, 2, 4]
    assert {(c.provider, c.complete) for c in answer.calendars} == {(provider, True) for provider in BOTH}
    assert len({c.connection for c in answer.calendars}) == 2
    # and a hold is refused by either
    first, second = (world.request(host, start + (1 + 2 * number) * HOUR) for number in range(2))
    decided(world, heard, first, second)
    assert heard.outcomes([first, second]) == {("booking-rejected", "host-busy"): 2}
    # and with one of them unreadable nothing is free
    fault = world.sandbox.add_fault(READ["microsoft"], "status", status=503, count=1000, account=account)
    answer = until(world, host, start + 48 * HOUR, lambda a: a.why is not None)
    assert (answer.slots, answer.why) == ([], Reason.CALENDAR_UNREADABLE)
    assert [c.complete for c in answer.calendars if c.provider == "microsoft"] == [False]
    world.sandbox.clear_faults(fault)


def test_a_provider_that_hangs_keeps_nobody_waiting(world: World, names: str) -> None:
    # given two hosts, and a provider that hangs over the calendar of one
    slow, quick, start = f"slow-{names}", f"quick-{names}", tomorrow(9)
    account = world.connect(slow, "google")
    world.connect(quick, "microsoft")
    world.sandbox.add_fault(READ["google"], "timeout-before", seconds=9, count=1, account=account)
    # when slots of both are asked for, within the time that a question has
    about = ([slow, quick], "any", start, start + 2 * HOUR, 60)
    answer = msgspec.convert(world.ask("availability", "team_slots", *about, deadline=5), TeamSlots)
    alone = msgspec.convert(world.ask("availability", "slots", slow, start, start + 2 * HOUR, 60, deadline=5), Slots)
    # then the one is offered, of the other it is said that nothing is known, and why
    assert {tuple(slot.hosts) for slot in answer.slots} == {(quick,)}
    assert answer.hosts[slow].why == alone.why == Reason.CALENDAR_UNREADABLE
    assert [calendar.why in ("too-slow", "timed-out") for calendar in alone.calendars] == [True]
    # and all is well with the next answer of the provider
    until(world, slow, start, lambda a: a.why is None)


def test_an_error_inside_a_good_answer_gives_no_slots_and_says_why(world: World, names: str) -> None:
    # given Google that answers 200 with an error for the calendar
    host = f"unread-{names}"
    account = world.connect(host, "google")
    fault = world.sandbox.add_fault(READ["google"], "calendar-error", count=1000, account=account)
    # when slots are asked for
    answer = slots(world, host, tomorrow())
    # then there are none, and it says why
    assert (answer.slots, answer.why) == ([], Reason.CALENDAR_UNREADABLE)
    assert [(c.complete, bool(c.why)) for c in answer.calendars] == [(False, True)]
    world.sandbox.clear_faults(fault)


@pytest.mark.parametrize("provider", BOTH)
def test_twenty_who_ask_at_once_are_one_request(world: World, names: str, provider: Provider) -> None:
    # given a host of whom nothing is known yet
    host, start = f"crowd-{names}", tomorrow()
    account = world.connect(host, provider)
    before = readings(world, provider, account)
    # when twenty ask at once
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: slots(world, host, start), range(20)))
    # then the provider was asked once, and all say when
    assert readings(world, provider, account) - before == 1
    assert {answer.why for answer in answers} == {None}
    assert len({answer.calendars[0].as_of for answer in answers}) == 1
    # and a hold is checked live all the same
    decided(world, Heard(), world.request(host, start))
    assert readings(world, provider, account) - before == 2


def readings(world: World, provider: Provider, account: str) -> int:
    return len([r for r in world.sandbox.requests(READ[provider]) if r["account"] == account])


def team(world: World, mode: str, hosts: Sequence[str], start: datetime) -> TeamSlots:
    answer = world.ask("availability", "team_slots", hosts, mode, start, start + 4 * HOUR, 60)
    return msgspec.convert(answer, TeamSlots)


def test_slots_of_a_team(world: World, names: str) -> None:
    # given two hosts at two providers, one of them busy at first
    hosts, start, heard = [f"team-{provider[0]}-{names}" for provider in BOTH], tomorrow(), Heard()
    for host, provider in zip(hosts, BOTH, strict=True):
        account = world.connect(host, provider)
    world.sandbox.add_event(provider, account, start, start + HOUR, title="Secret plan")
    # when slots are asked for, then both are free or whoever is
    everybody = team(world, "all", hosts, start)
    assert [(slot.start - start) / HOUR for slot in everybody.slots] == [1 + n / 4 for n in range(9)]
    assert everybody.slots[0].hosts == hosts
    anybody = team(world, "any", hosts, start)
    assert (anybody.slots[0].start, anybody.slots[0].hosts) == (start, hosts[:1])
    # and when the first is booked, it is the turn of the other
    decided(world, heard, world.request(hosts[0], start + 72 * HOUR))
    deadline = time.monotonic() + 30
    while {tuple(slot.hosts) for slot in team(world, "any", hosts, start + HOUR).slots} != {(hosts[1],)}:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    # and with a host whom nobody knows, all are never free
    unknown = team(world, "all", [*hosts, f"nobody-{names}"], start)
    assert (unknown.slots, unknown.hosts[f"nobody-{names}"].why) == ([], Reason.UNKNOWN_HOST)


def test_while_auth_is_away_the_answer_says_so(world: World, names: str) -> None:
    # given a host of whom availability has not asked yet
    host = f"away-{names}"
    world.connect(host, "google")
    # when auth is away
    world.stack.stop_part("auth")
    answer = slots(world, host, tomorrow())
    # then it is an answer, and says why
    assert (answer.slots, answer.calendars, answer.why) == ([], [], Reason.SERVICE_UNAVAILABLE)

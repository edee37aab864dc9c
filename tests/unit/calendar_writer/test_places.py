"""Where an entry belongs: it stays where it was meant to be for as long as its account is connected."""

from dataclasses import replace

import msgspec
import pytest

from libs.contracts.questions import CalendarAccess, HostAccess, HostState
from libs.testing.clock import START
from libs.testing.events import HOST, booking_id
from libs.testing.grants import calendar_of
from services.calendar_writer.domain import Effect, Standing, nowhere
from services.calendar_writer.places import place
from services.calendar_writer.wiring import EffectMaker

MAKE = EffectMaker(b"made-up secret of the entries")
OLD, NEW = calendar_of(HOST, "google", name="old"), calendar_of(HOST, "microsoft", name="new")


def written(calendar: CalendarAccess, *, yes: bool = True, token: str | None = "token") -> CalendarAccess:
    return msgspec.structs.replace(calendar, written=yes, token=token)


def access(*calendars: CalendarAccess, state: HostState = "connected") -> HostAccess:
    return HostAccess(state=state, calendars=list(calendars))


def meant_for(calendar: CalendarAccess, attempts: int = 1) -> Effect:
    fresh = MAKE(booking_id("mine"), HOST, calendar, START)
    return replace(fresh, attempts=attempts, standing=Standing.INTENDED)


def test_a_new_entry_goes_where_the_host_writes_to() -> None:
    there = place(None, access(written(OLD, yes=False), written(NEW)), writes=True)

    assert (there.calendar, there.anew, there.parks) == (written(NEW), True, False)


@pytest.mark.parametrize("attempts", [0, 1])
def test_an_entry_stays_where_it_was_meant_to_be_though_the_host_writes_elsewhere_now(attempts: int) -> None:
    there = place(meant_for(OLD, attempts), access(written(OLD, yes=False), written(NEW)), writes=True)

    assert (there.calendar, there.anew) == (written(OLD, yes=False), False)


def test_also_when_its_calendar_is_no_longer_chosen_but_its_account_is_connected() -> None:
    sibling = msgspec.structs.replace(OLD, calendar="sibling")
    there = place(meant_for(OLD), access(sibling, written(NEW)), writes=True)

    assert there.calendar is not None
    assert (there.calendar.calendar, there.calendar.token, there.anew) == ("old", OLD.token, False)


def test_with_another_account_instead_of_the_old_one_it_is_made_anew() -> None:
    there = place(meant_for(OLD), access(written(NEW)), writes=True)

    assert (there.calendar, there.anew) == (written(NEW), True)


def test_while_the_old_account_may_come_back_what_may_stand_there_is_not_made_twice() -> None:
    dead = written(OLD, yes=False, token=None)
    state: HostState = "reconnect-needed"

    waits = place(meant_for(OLD), access(dead, written(NEW), state=state), writes=True)
    goes = place(meant_for(OLD, attempts=0), access(dead, written(NEW), state=state), writes=True)
    assert (waits.token, waits.anew, waits.parks) == (None, False, True)
    assert (goes.calendar, goes.anew) == (written(NEW), True)


def test_a_removal_waits_for_the_account_that_the_entry_is_in() -> None:
    there = place(meant_for(OLD), access(written(NEW)), writes=False)

    assert (there.token, there.anew, there.parks) == (None, False, True)


@pytest.mark.parametrize("state", ["reconnect-needed", "disconnected", "unknown", "invited"])
def test_without_any_calendar_only_the_host_can_help(state: HostState) -> None:
    for effect in (None, nowhere(booking_id("mine"), HOST, START)):
        there = place(effect, access(state=state), writes=True)
        assert (there.token, there.parks) == (None, True)


def test_a_token_that_is_missing_for_a_moment_is_not_the_hosts_doing() -> None:
    for effect in (None, meant_for(OLD)):
        there = place(effect, access(written(OLD, token=None)), writes=True)
        assert (there.token, there.parks) == (None, False)

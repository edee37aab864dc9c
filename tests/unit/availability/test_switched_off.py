"""A provider that an operator has switched off: its hosts' times are unknown, and that is said by its name."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from libs.contracts.events import CalendarReconnectNeeded, ProviderSwitched
from libs.contracts.questions import HostAccess
from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE, Outcome, Retry
from libs.providers.errors import SwitchedOff
from libs.testing.events import HOST, HOUR, SOON, connection_id, held, incoming
from libs.testing.grants import calendar_of
from services.availability.domain import Window
from services.availability.handlers import PATIENCE, check_holds, forget_access
from services.availability.questions import Wanted, find_slots
from tests.unit.availability.doubles import HOLD, World, world

OFF = Retry(Reason.PROVIDER_SWITCHED_OFF)


def switched_off(how: str) -> World:
    """A host whose provider is off: auth gives no token, or there is one still and the door is shut."""
    made = world()
    made.connect(HOST)
    if how == "no token":
        calendar = msgspec.structs.replace(calendar_of(HOST, token=None), switched_off=True)
        made.grants.hosts[HOST] = HostAccess(state="connected", calendars=[calendar], why="provider-switched-off")
    else:
        made.google.fail("busy", SwitchedOff(), times=99)
    return made


def check(made: World, late: timedelta = timedelta(0)) -> list[Outcome]:
    item = incoming(held("mine"), time=made.clock())
    made.clock.move(late)
    return list(check_holds([item], made.desk))


HOWS = pytest.mark.parametrize("how", ["no token", "door shut"])


@HOWS
def test_a_hold_waits_at_first(how: str) -> None:
    made = switched_off(how)
    assert check(made) == [OFF]
    assert made.told.events == []


@HOWS
def test_and_is_then_refused_by_that_name(how: str) -> None:
    made = switched_off(how)
    assert check(made, HOLD * PATIENCE) == [DONE]
    (event,) = made.told.events
    assert (event["type"], event["data"]["reason"]) == ("hold-refused", "provider-switched-off")


@HOWS
def test_slots_are_not_known_and_say_why(how: str) -> None:
    made = switched_off(how)
    found = find_slots(HOST, Wanted(Window(SOON, SOON + HOUR), timedelta(minutes=30)), made.desk)
    assert (found.why, found.slots) == (Reason.PROVIDER_SWITCHED_OFF, [])
    assert [evidence.why for evidence in found.calendars] == ["provider-switched-off"]


def test_a_word_that_something_was_switched_has_it_looked_up_once() -> None:
    made = world()
    facts: list[Any] = [
        ProviderSwitched(provider="google", on=False),
        CalendarReconnectNeeded(
            host=HOST, provider="google", connection=connection_id("one"), reason=Reason.GRANT_DEAD
        ),
        ProviderSwitched(provider="google", on=True),
    ]
    assert forget_access([incoming(fact) for fact in facts], made.desk) == [DONE] * 3
    assert made.switches.looked == 1
    assert made.grants.forgotten == [HOST]

"""A provider that an operator has switched off: writes wait, neither tries nor time count, and all go on when it is on again."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from libs.contracts.events import CalendarConnected, ProviderSwitched
from libs.contracts.questions import HostAccess
from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE, Outcome, Retry
from libs.providers.errors import SwitchedOff, Unreachable
from libs.testing.events import HOST, confirmed, connection_id, incoming
from libs.testing.grants import calendar_of
from services.calendar_writer.domain import Standing
from services.calendar_writer.handlers import resume_writes, write_entries
from services.calendar_writer.parked import sweep_left
from services.calendar_writer.reconciling import reconcile
from tests.unit.calendar_writer.doubles import World, over, stands, world

OFF = Retry(Reason.PROVIDER_SWITCHED_OFF)
ON = ProviderSwitched(provider="google", on=True)


def switched_off() -> World:
    """A host whose provider is off, with a booking to write."""
    made = world()
    made.say("mine", stands())
    switch_off(made)
    return made


def switch_off(made: World) -> None:
    made.switches.off = {"google"}
    calendar = msgspec.structs.replace(calendar_of(HOST, token=None), switched_off=True)
    made.grants.hosts[HOST] = HostAccess(state="connected", calendars=[calendar], why="provider-switched-off")


def switch_on(made: World) -> None:
    made.switches.off = set()
    made.connect()


def write(made: World, *names: str) -> list[Outcome]:
    return list(write_entries([incoming(confirmed(name)) for name in names], made.desk))


def hear(made: World, *facts: Any) -> list[Outcome]:
    return list(resume_writes([incoming(fact) for fact in facts], made.desk))


def told(made: World) -> list[tuple[str, str | None]]:
    return [(event["type"], event["data"].get("reason")) for event in made.told.events]


def test_a_write_waits_and_says_why() -> None:
    made = switched_off()
    assert write(made, "mine") == [OFF]
    assert told(made) == [("calendar-write-delayed", "provider-switched-off")]
    assert made.entries() == []
    assert (made.effect("mine").standing, made.effect("mine").attempts) == (Standing.INTENDED, 0)


def test_however_often_it_comes_back_it_is_one_event() -> None:
    made = switched_off()
    for _ in range(3):
        made.pass_time(3600)
        write(made, "mine")
    assert len({event["id"] for event in made.told.events}) == 1


def test_it_is_not_given_up_however_long_that_takes_nor_soon_after() -> None:
    # given a provider that is off for much longer than a write is tried for
    made = switched_off()
    hours = int(made.desk.rhythm.patience / timedelta(hours=1)) + 24
    for _ in range(hours):
        made.pass_time(3600)
        assert write(made, "mine") == [OFF]
    # when it is on again, and does not answer at first
    switch_on(made)
    made.google.fail("put", Unreachable("no-connection"))
    made.pass_time(60)
    assert write(made, "mine") == [Retry(Reason.PROVIDER_UNAVAILABLE)]
    # then the time that a write is tried for has just begun
    assert made.effect("mine").standing is Standing.INTENDED


def test_all_goes_on_when_it_is_on_again() -> None:
    # given writes that wait
    made = switched_off()
    made.say("other", stands())
    write(made, "mine", "other")
    # when the provider is on again
    switch_on(made)
    assert hear(made, ON) == [DONE]
    # then both come back at once, and are written
    events = [msgspec.convert(event["data"], type(confirmed("x"))) for event in made.reminded.taken()]
    assert len(events) == 2
    assert list(write_entries([incoming(event) for event in events], made.desk)) == [DONE, DONE]
    assert len(made.entries()) == 2


def test_also_what_was_tried_before_goes_on_at_once() -> None:
    # given a write that was tried once, and whose message has climbed the ladder of delays while the provider is off
    made = world()
    made.say("mine", stands())
    made.google.fail("put", Unreachable("no-connection"))
    write(made, "mine")
    switch_off(made)
    for _ in range(3):
        made.pass_time(3600)
        write(made, "mine")
    assert made.effect("mine").attempts == 1
    # when the provider is on again
    switch_on(made)
    hear(made, ON)
    # then it does not wait for its message
    assert len(made.reminded.taken()) == 1


def test_a_late_event_that_it_is_on_brings_nothing_back_while_it_is_off() -> None:
    made = switched_off()
    write(made, "mine")
    assert hear(made, ON) == [DONE]
    assert made.reminded.taken() == []


def test_while_auth_or_the_store_is_away_the_event_is_kept() -> None:
    made = switched_off()
    write(made, "mine")
    made.switches.away = True
    assert hear(made, ON) == [Retry(Reason.SERVICE_UNAVAILABLE)]
    switch_on(made)
    made.switches.away, made.ledger.away = False, True
    assert hear(made, ON) == [Retry(Reason.STORE_UNAVAILABLE)]


def test_hosts_and_providers_in_one_batch_each_have_their_own_outcome() -> None:
    made = switched_off()
    made.switches.away = True
    fact = CalendarConnected(host=HOST, provider="google", connection=connection_id("one"), reason=Reason.CONNECTED)
    assert hear(made, fact, ON, fact) == [DONE, Retry(Reason.SERVICE_UNAVAILABLE), DONE]
    assert made.grants.forgotten == [HOST]


def test_a_cancelled_write_that_was_never_tried_needs_no_provider() -> None:
    made = switched_off()
    write(made, "mine")
    made.say("mine", over())
    assert write(made, "mine") == [DONE]
    assert made.effect("mine").standing is Standing.REMOVED


def test_a_removal_waits() -> None:
    made = world()
    made.say("mine", stands())
    write(made, "mine")
    switch_off(made)
    made.say("mine", over(erased=True))
    assert write(made, "mine") == [OFF]
    assert len(made.entries()) == 1
    switch_on(made)
    made.pass_time(1)
    assert write(made, "mine") == [DONE]
    assert made.entries() == []


def test_a_job_under_way_with_a_token_is_stopped_at_the_door() -> None:
    made = world()
    made.say("mine", stands())
    made.google.fail("put", SwitchedOff())
    assert write(made, "mine") == [OFF]
    assert made.effect("mine").acted_at is not None  # what went before the door was shut may have had its effect


def test_one_entry_that_cannot_be_looked_at_keeps_all_others_from_being_asked_about() -> None:
    made = world()
    for name in ("one", "two", "three"):
        made.say(name, stands())
    write(made, "one", "two", "three")
    made.pass_time(3600)
    made.google.fail("look", SwitchedOff())
    assert reconcile(made.desk)["removed"] == 0
    assert [operation for operation, _ in made.google.calls].count("look") == 1


def test_what_waits_is_not_taken_for_left_behind() -> None:
    made = switched_off()
    write(made, "mine")
    assert sweep_left(made.desk) == 0


@pytest.mark.parametrize("provider", ["google", "microsoft"])
def test_only_what_waits_for_this_provider_comes_back(provider: Any) -> None:
    made = switched_off()
    write(made, "mine")
    switch_on(made)
    hear(made, ProviderSwitched(provider=provider, on=True))
    assert len(made.reminded.taken()) == (provider == "google")

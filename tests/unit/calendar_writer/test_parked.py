"""Writes that wait for their hosts, and those that were left behind: none is lost, and none needs anybody's hand."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY

from libs.contracts.events import CalendarConnected, HostCalendarsChanged
from libs.contracts.questions import HostAccess, HostState
from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE, Outcome, Poison, Retry
from libs.mongo.errors import StoreUnavailable
from libs.providers.errors import RateLimited, Unauthorized, Unreachable
from libs.testing.clock import START
from libs.testing.events import HOST, HOUR, SOON, confirmed, connection_id, incoming
from libs.testing.grants import calendar_of
from libs.testing.leaks import LogCapture
from services.calendar_writer.domain import SLACK, Effect, Standing, tried
from services.calendar_writer.handlers import write_entries
from services.calendar_writer.measuring import measure_open, summary
from services.calendar_writer.parked import resume, sweep, sweep_left
from services.calendar_writer.store import Claim
from tests.unit.calendar_writer.doubles import World, over, stands, world

CONNECTED = CalendarConnected(
    host=HOST, provider="google", connection=connection_id("one"), reason=Reason.RECONNECT_NEEDED
)


def write(made: World, *names: str) -> Sequence[Outcome]:
    batch: list[Any] = [incoming(confirmed(name)) for name in names]
    return write_entries(batch, made.desk)


def told(made: World) -> list[tuple[str, str | None]]:
    return [(event["type"], event["data"].get("reason")) for event in made.told.events]


def deliver(made: World) -> list[Outcome]:
    """Hand the writer what it said to itself."""
    events = [msgspec.convert(event["data"], type(confirmed("x"))) for event in made.reminded.taken()]
    return list(write_entries([incoming(event) for event in events], made.desk)) if events else []


def parked_world(state: HostState = "reconnect-needed", *, known: bool = True) -> World:
    """A booking whose write is parked; with `known`, auth still names the calendar."""
    made = world()
    made.say("mine", stands())
    calendars = [calendar_of(HOST, token=None)] if known else []
    made.grants.hosts[HOST] = HostAccess(state=state, calendars=calendars)
    assert write(made, "mine") == [DONE]
    return made


class TestParking:
    @pytest.mark.parametrize("state", ["reconnect-needed", "disconnected"])
    def test_without_its_host_a_write_is_parked_and_told_of_once(self, state: HostState) -> None:
        made = parked_world(state)

        assert [write(made, "mine") for _ in range(3)] == [[DONE]] * 3
        assert told(made) == [("calendar-write-delayed", "reconnect-needed")]
        assert (made.effect("mine").standing, made.effect("mine").attempts) == (Standing.PARKED, 0)
        assert made.google.calls == []

    @pytest.mark.parametrize("state", ["disconnected", "unknown", "invited"])
    def test_so_it_is_where_there_is_no_connection_to_make_ids_from(self, state: HostState) -> None:
        made = parked_world(state, known=False)

        assert (made.effect("mine").standing, made.effect("mine").connection) == (Standing.PARKED, "")
        assert told(made) == [], "there is no provider to name"
        made.connect()
        assert write(made, "mine") == [DONE]
        assert (len(made.entries()), made.effect("mine").generation) == (1, 1)

    def test_a_grant_that_dies_in_mid_write_is_told_of_once(self) -> None:
        made = world()
        made.say("mine", stands())
        forget = made.grants.forget

        def dies(*given: Any) -> None:
            forget(*given)
            made.grants.hosts[HOST] = HostAccess(state="reconnect-needed", calendars=[calendar_of(HOST, token=None)])

        made.grants.forget = dies  # type: ignore[method-assign, assignment]  # auth finds out when it refreshes
        made.google.fail("put", Unauthorized("http-401"))

        assert write(made, "mine") == [DONE]
        assert told(made) == [("calendar-write-delayed", "reconnect-needed")]
        assert made.effect("mine").standing is Standing.PARKED

    def test_a_new_version_of_a_parked_write_is_told_of(self) -> None:
        made = parked_world()
        made.say("mine", stands(3, start=SOON + HOUR))

        assert write(made, "mine") == [DONE]
        assert [event["data"]["version"] for event in made.told.events] == [2, 3]

    def test_a_parked_write_whose_booking_is_cancelled_ends(self) -> None:
        made = parked_world()
        made.say("mine", over())

        assert write(made, "mine") == [DONE]
        assert told(made)[1:] == [("calendar-event-removed", None)]
        assert (made.effect("mine").standing, made.google.calls) == (Standing.REMOVED, [])

    def test_a_parked_write_whose_time_is_over_is_given_up(self) -> None:
        made = parked_world()
        made.pass_time(2 * 24 * 3600)

        assert write(made, "mine") == [Poison(Reason.RECONNECT_NEEDED)]
        assert told(made)[-1] == ("calendar-write-failed", "reconnect-needed")

    def test_a_removal_is_parked_too(self) -> None:
        made = world()
        made.say("mine", stands())
        write(made, "mine")
        made.grants.set_state(HOST, "disconnected")
        made.say("mine", over())
        assert write(made, "mine") == [DONE]
        assert (made.effect("mine").standing, len(made.entries())) == (Standing.PARKED, 1)

        made.connect()
        resume([incoming(CONNECTED)], made.desk)
        assert deliver(made) == [DONE]
        assert made.entries() == []


class TestResuming:
    @pytest.mark.parametrize("fact", [CONNECTED, HostCalendarsChanged(host=HOST)], ids=lambda fact: type(fact).__name__)
    def test_a_host_who_connects_sets_all_parked_writes_going_at_once(self, fact: Any) -> None:
        made = parked_world()
        made.say("other", stands(start=SOON + HOUR))
        write(made, "other")
        made.connect()

        assert resume([incoming(fact)], made.desk) == [DONE]
        assert made.grants.forgotten == [HOST]
        assert deliver(made) == [DONE, DONE]
        assert len(made.entries()) == made.google.created == 2

    def test_of_other_hosts_nothing_is_resumed(self) -> None:
        made = parked_world()

        assert resume([incoming(HostCalendarsChanged(host="dr-other"))], made.desk) == [DONE]
        assert made.reminded.pendings == []

    def test_a_bus_or_store_that_is_away_is_waited_for(self) -> None:
        made = parked_world()
        made.reminded.fails = True
        assert resume([incoming(CONNECTED)], made.desk) == [Retry(Reason.BUS_UNAVAILABLE)]
        made.ledger.away = True
        assert resume([incoming(CONNECTED)], made.desk) == [Retry(Reason.STORE_UNAVAILABLE)]
        sweep(made.desk)

    def test_if_nobody_heard_of_it_the_sweep_finds_it(self) -> None:
        made = parked_world()
        made.connect()
        made.pass_time(31)

        assert sweep_left(made.desk) == 1
        assert sweep_left(made.desk) == 0, "and not at once again"
        assert deliver(made) == [DONE]
        assert len(made.entries()) == 1

    def test_a_write_that_a_crash_left_behind_is_tried_again(self) -> None:
        made = world()
        made.say("mine", stands())
        fresh = made.desk.new_effect("bk_mine", HOST, calendar_of(HOST), START, 1)
        made.ledger.begin([(tried(replace(fresh, booking=confirmed("mine").booking), 2, START), ())], START)
        assert sweep_left(made.desk) == 0
        made.pass_time(60 + SLACK.total_seconds())

        assert sweep_left(made.desk) == 1
        made.pass_time(1)
        assert deliver(made) == [DONE]
        assert len(made.entries()) == 1

    def test_a_write_with_a_message_behind_it_is_left_to_that(self) -> None:
        made = world()
        made.say("mine", stands())
        made.google.fail("put", RateLimited("http-429", 600))
        write(made, "mine")
        made.pass_time(600)

        assert sweep_left(made.desk) == 0


class TestOutage:
    """A provider is down for long: what waits has climbed the ladder of delays, and would wait there for as long again."""

    def waiting(self, *names: str, minutes: float = 30) -> World:
        """Writes that were tried for so long without an answer, and one that has a limit; the circuit is open, its pause over."""
        made = world()
        made.connect("dr-other")
        for name in names:
            made.say(name, stands())
        made.say("limited", stands(host="dr-other"))
        made.google.fail("put", RateLimited("http-429", 10 * 3600))
        assert write(made, "limited") == [Retry(Reason.RATE_LIMITED, 10 * 3600)]
        made.google.fail("put", Unreachable("google-503"), times=4 * len(names))
        made.go_down()
        for _ in range(4):
            made.pass_time(minutes * 15)
            assert write(made, *names) == [Retry(Reason.PROVIDER_UNAVAILABLE)] * len(names)
        return made

    def test_while_it_lasts_a_single_write_asks_whether_it_is_over(self) -> None:
        made = self.waiting("one", "two", "three")
        sweep(made.desk)

        assert len(made.reminded.taken()) == 1

    def test_when_it_is_over_all_goes_on_at_once_and_once(self) -> None:
        made = self.waiting("one", "two", "three")
        made.come_back()
        sweep(made.desk)

        assert deliver(made) == [DONE] * 3
        assert len(made.entries()) == 3
        sweep(made.desk)
        assert made.reminded.taken() == [], "not what its provider has told to wait, and nothing twice"

    def test_however_many_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("services.calendar_writer.parked.MOST", 2)
        made = self.waiting("one", "two", "three", "four", "five")
        made.come_back()
        sweep(made.desk)

        assert deliver(made) == [DONE] * 5

    def test_if_the_store_goes_away_meanwhile_the_next_sweep_does_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = self.waiting("one")
        made.come_back()
        asked = made.ledger.left_behind

        def gone(claim: Claim) -> Sequence[Effect]:
            if claim.waits:
                raise StoreUnavailable
            return asked(claim)

        with monkeypatch.context() as patched:
            patched.setattr(made.ledger, "left_behind", gone)
            sweep(made.desk)
        assert made.reminded.taken() == []
        sweep(made.desk)

        assert deliver(made) == [DONE]

    def test_what_the_bus_did_not_take_has_its_own_message_still(self) -> None:
        made = self.waiting("one")
        made.reminded.fails = True
        made.come_back()
        sweep(made.desk)
        made.reminded.fails = False

        assert write(made, "one") == [DONE]


class TestAnotherAccount:
    def moved(self) -> World:
        """A host who disconnected the account that holds an entry, and connected another; the booking has a new time."""
        made = world()
        made.say("mine", stands())
        write(made, "mine")
        made.grants.set_state(HOST, "disconnected")
        made.say("mine", stands(3, start=SOON + HOUR))
        assert write(made, "mine") == [DONE]
        made.connect(provider="microsoft", name="elsewhere")
        return made

    def test_the_entry_is_made_anew_where_the_host_writes_now(self, log: LogCapture) -> None:
        made = self.moved()
        before, lost = made.effect("mine"), beyond_reach()
        resume([incoming(CONNECTED)], made.desk)
        assert deliver(made) == [DONE]

        (entry,) = made.microsoft.entries("elsewhere")
        after = made.effect("mine")
        assert entry.span.start == SOON + HOUR
        assert (after.provider, after.generation) == ("microsoft", 2)
        assert {after.mark, after.event_id}.isdisjoint({before.mark, before.event_id})
        assert beyond_reach() == lost + 1
        assert "entry beyond reach" in log.text

    def test_later_changes_go_there(self) -> None:
        made = self.moved()
        write(made, "mine")
        made.say("mine", over(4))

        assert write(made, "mine") == [DONE]
        assert made.microsoft.entries("elsewhere") == []

    def test_a_change_of_the_written_calendar_leaves_entries_where_they_are(self) -> None:
        made = world()
        made.say("mine", stands())
        write(made, "mine")
        old = msgspec.structs.replace(calendar_of(HOST), written=False)
        made.grants.connect(HOST, old, made.add_calendar(name="second"))
        made.say("mine", stands(3, start=SOON + HOUR))
        made.say("new", stands(start=SOON + 5 * HOUR))
        write(made, "mine", "new")

        assert [entry.span.start for entry in made.entries()] == [SOON + HOUR]
        assert [entry.span.start for entry in made.google.entries("second")] == [SOON + 5 * HOUR]
        made.say("mine", over(4))
        write(made, "mine")
        assert made.entries() == []


def beyond_reach() -> float:
    name = "valet_calendar_effects_beyond_reach_total"
    return REGISTRY.get_sample_value(name, {"provider": "google"}) or 0.0


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"valet_calendar_{name}", labels) or 0.0


def test_what_is_open_is_measured_and_parked_apart() -> None:
    made = parked_world()
    made.say("theirs", stands(host="dr-other"))
    made.connect("dr-other")
    made.google.fail("put", RateLimited("http-429"))
    made.pass_time(100)
    write(made, "theirs")
    made.pass_time(200)
    measure_open(made.ledger, made.clock())

    assert sample("effect_oldest_seconds") == 200
    assert sample("parked_oldest_seconds") == 300
    counted = {standing: sample("effects", standing=standing) for standing in ("intended", "parked", "failed")}
    assert counted == {"intended": 1, "parked": 1, "failed": 0}
    write(made, "theirs")
    measure_open(made.ledger, made.clock())
    assert sample("effect_oldest_seconds") == 0
    assert summary(made.ledger)["written"] == {"count": 1, "oldest": (START + timedelta(seconds=100)).isoformat()}
    made.ledger.away = True
    measure_open(made.ledger, made.clock())

"""However slow a provider is: whoever asks for slots is answered in time and told why, and other hosts' holds do not wait."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import eventlet
import pytest
from eventlet.green import threading as green_threading

from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE
from libs.testing.events import HOUR, SOON, held, incoming
from services.availability.handlers import check_holds
from services.availability.questions import find_slots, find_team_slots, wanted
from services.availability.reading import Reader
from services.availability.sidebyside import SideBySide
from services.availability.snapshots import Snapshots
from tests.unit.availability.doubles import LIMITS, World, world

LONG = 10.0  # seconds that nothing here takes, on the slowest machine
SLOW, QUICK = "dr-slow", "dr-quick"
ASK = wanted(SOON, SOON + 2 * HOUR, 60, LIMITS)


@pytest.fixture(autouse=True)
def _in_the_end() -> Iterator[None]:
    """Whoever waits for ever fails instead."""
    with eventlet.Timeout(LONG):
        yield


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> World:
    """Two connected hosts, and a desk that asks in greenlets, as the service does, and has a moment to answer."""
    monkeypatch.setattr("services.availability.flights.threading", green_threading)
    made = world()
    for host in (SLOW, QUICK):
        made.connect(host)
    snapshots = Snapshots(60, made.clock.seconds)
    together = SideBySide(50, pause=0.1)
    reader = Reader({"google": made.google}, made.grants, together, snapshots, 10, made.clock.seconds)
    return replace(made, desk=replace(made.desk, reader=reader, answer_within=0.3))


class Gate:
    """Keeps a provider from answering for the slow host until it is opened."""

    def __init__(self, made: World) -> None:
        self.opened, self.calls = eventlet.Event(), 0
        busy = made.google.busy

        def slow(token: str, names: list[str], window: Any) -> Any:
            if f"google-of-{SLOW}" in names:
                self.calls += 1
                self.opened.wait()
            return busy(token, names, window)

        made.google.busy = slow  # type: ignore[assignment, method-assign]  # to keep it waiting


def test_one_slow_host_keeps_no_team_waiting(made: World) -> None:
    gate = Gate(made)

    answer = find_team_slots([SLOW, QUICK], "any", ASK, made.desk)
    assert {tuple(slot.hosts) for slot in answer.slots} == {(QUICK,)}
    assert (answer.hosts[SLOW].why, answer.hosts[QUICK].why) == (Reason.CALENDAR_UNREADABLE, None)
    assert [calendar.why for calendar in answer.hosts[SLOW].calendars] == ["too-slow"]
    assert not gate.opened.ready()


def test_what_came_too_late_for_one_question_answers_the_next(made: World) -> None:
    gate = Gate(made)
    unanswered = [find_slots(SLOW, ASK, made.desk) for _ in range(2)]
    gate.opened.send()
    eventlet.sleep(0)
    answered = find_slots(SLOW, ASK, made.desk)

    assert [(answer.why, answer.slots) for answer in unanswered] == [(Reason.CALENDAR_UNREADABLE, [])] * 2
    assert len(answered.slots) == 5
    assert gate.calls == 1


def test_auth_and_store_share_the_time_there_is(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    noted: Callable[..., Any] = made.grants.of

    def of(hosts: Any, within: float | None = None) -> Any:
        given.append(within or 0)
        return noted(hosts)

    monkeypatch.setattr(made.grants, "of", of)
    find_slots(QUICK, ASK, made.desk)

    assert 0 < given[0] <= 0.3


def test_a_slow_calendar_delays_no_answer_to_other_holds(made: World) -> None:
    gate = Gate(made)
    batch = [incoming(held(host, host=host), time=made.clock()) for host in (SLOW, QUICK)]
    checking = eventlet.spawn(check_holds, batch, made.desk)
    while not made.told.events:
        eventlet.sleep(0.01)
    first = [event["data"]["host"] for event in made.told.events]
    gate.opened.send()

    assert first == [QUICK]
    assert checking.wait() == [DONE, DONE]
    assert [event["data"]["host"] for event in made.told.events] == [QUICK, SLOW]


class TestSideBySide:
    def test_answers_come_in_order_and_none_for_those_that_are_late(self) -> None:
        gate, ended = eventlet.Event(), list[int]()

        def ask(number: int) -> int:
            if number % 2:
                gate.wait()
            ended.append(number)
            return number * 10

        asked = SideBySide(5)
        assert asked.soon(ask, range(4), 0.1) == [0, None, 20, None]
        gate.send()
        assert list(asked.waves(ask, range(4))) == [{0: 0, 1: 10, 2: 20, 3: 30}]
        assert sorted(ended) == [0, 0, 1, 1, 2, 2, 3, 3], "what was late was asked to its end"

    def test_those_who_wait_hear_of_the_quick_ones_first(self) -> None:
        gate = eventlet.Event()

        def ask(number: int) -> int:
            if number == 1:
                gate.wait()
            return number * 10

        waves = SideBySide(1, pause=0.1).waves(ask, [0, 1])
        assert next(waves) == {0: 0}
        gate.send()
        assert list(waves) == [{1: 10}]

    def test_what_fails_fails_where_it_is_waited_for(self) -> None:
        def ask(number: int) -> float:
            return 1 / number

        with pytest.raises(ZeroDivisionError):
            list(SideBySide(5).waves(ask, [1, 0]))

    def test_waiting_for_a_place_takes_no_longer_either(self) -> None:
        gate, asked = eventlet.Event(), SideBySide(1)

        assert asked.soon(lambda _: gate.wait(), range(3), 0.1) == [None] * 3
        gate.send("answer")

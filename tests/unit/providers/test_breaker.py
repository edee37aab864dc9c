"""The circuit breaker: opens when a provider is down, lets one probe through at a time, and is not fooled by a single host."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from prometheus_client import REGISTRY

from libs.config.settings import Settings
from libs.contracts.events import Provider
from libs.providers import adapters
from libs.providers.breaker import FAILURES, LONGEST_PAUSE, SHORTEST_PAUSE, Breaker, Circuit, Outages
from libs.providers.errors import (
    CalendarNotFound,
    DeletedByHost,
    EgressRefused,
    ProviderError,
    RateLimited,
    Refused,
    TryLater,
    Unauthorized,
    Unreachable,
)
from libs.providers.port import Interval

DOWN = Unreachable("google-503")


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Patient:
    """A breaker with a clock of its own, and no jitter unless asked for."""

    def __init__(self, provider: Provider = "google", chance: Callable[[], float] = lambda: 0.0) -> None:
        self.clock = Clock()
        self.breaker = Breaker(provider, Circuit(self.clock, chance))
        self.reached = 0

    def call(self, error: BaseException | None = None) -> None:
        with self.breaker.call():
            self.reached += 1
            if error is not None:
                raise error

    def fails(self, times: int = 1, error: BaseException = DOWN) -> None:
        for _ in range(times):
            with pytest.raises(type(error)):
                self.call(error)

    def refused_for(self) -> float | None:
        """The seconds a refused call is told to wait; None if it was let through."""
        try:
            self.call()
        except TryLater as error:
            return error.retry_after if error.label == "circuit-open" else -1.0
        return None


@pytest.fixture
def patient() -> Patient:
    """A breaker in good health."""
    return Patient()


def test_it_opens_after_so_many_failures_in_a_row_and_says_for_how_long(patient: Patient) -> None:
    patient.fails(FAILURES - 1)
    patient.call()
    patient.fails(FAILURES)
    reached = patient.reached
    assert patient.refused_for() == SHORTEST_PAUSE
    patient.clock.now += 2
    assert patient.refused_for() == SHORTEST_PAUSE - 2
    assert patient.reached == reached


@pytest.mark.parametrize(
    "error",
    [
        CalendarNotFound("google-404"),
        DeletedByHost("gone"),
        Refused("google-403"),
        Unauthorized("google-401"),
        RateLimited("google-429", 7),
        TryLater("google-409"),
        EgressRefused("egress-query"),
        ValueError("a fault of our own"),
    ],
)
def test_what_one_host_meets_never_opens_it(patient: Patient, error: Exception) -> None:
    patient.fails(3 * FAILURES, error)
    assert patient.refused_for() is None


@pytest.mark.parametrize("error", [Refused("google-403"), Unauthorized("google-401"), RateLimited("google-429", 7)])
def test_whoever_answers_is_there(patient: Patient, error: ProviderError) -> None:
    for _ in range(FAILURES):
        patient.fails(FAILURES - 1)
        patient.fails(1, error)
    assert patient.refused_for() is None


@pytest.mark.parametrize("error", [EgressRefused("egress-query"), ValueError("a fault of our own")])
def test_what_never_left_the_house_clears_nothing(patient: Patient, error: Exception) -> None:
    patient.fails(FAILURES - 1)
    patient.fails(1, error)
    patient.fails(1)
    assert patient.refused_for() == SHORTEST_PAUSE


def test_one_mailbox_that_is_ill_shuts_out_nobody_else(patient: Patient) -> None:
    # given one mailbox that never answers
    for _ in range(3 * FAILURES):
        with suppress(Unreachable), patient.breaker.call("ill"):
            raise DOWN
    # then the others are let through, until one of them is not answered either
    with suppress(Unreachable), patient.breaker.call("well"):
        raise DOWN
    with pytest.raises(TryLater, match="circuit-open"), patient.breaker.call("another"):
        raise AssertionError("not to be reached")


def test_a_good_probe_closes_it(patient: Patient) -> None:
    patient.fails(FAILURES)
    patient.clock.now += SHORTEST_PAUSE
    patient.call()
    patient.fails(FAILURES - 1)
    assert patient.refused_for() is None


def test_each_failed_probe_makes_the_pause_longer_up_to_the_longest(patient: Patient) -> None:
    patient.fails(FAILURES)
    pauses = []
    for _ in range(6):
        pauses.append(patient.refused_for())
        patient.clock.now += pauses[-1] or 0.0
        patient.fails(1)
    assert pauses == [5, 10, 20, 40, LONGEST_PAUSE, LONGEST_PAUSE]
    # and after it was well again it begins with the shortest
    patient.clock.now += LONGEST_PAUSE
    patient.call()
    patient.fails(FAILURES)
    assert patient.refused_for() == SHORTEST_PAUSE


def test_chance_takes_a_fifth_off_the_pause_at_most() -> None:
    hurried = Patient(chance=lambda: 0.999999)
    hurried.fails(FAILURES)
    assert hurried.refused_for() == pytest.approx(SHORTEST_PAUSE * 0.8, abs=0.001)


def test_one_probe_at_a_time(patient: Patient) -> None:
    # given an open circuit whose pause is over, and a probe under way
    patient.fails(FAILURES)
    patient.clock.now += SHORTEST_PAUSE
    with patient.breaker.call():
        # then everybody else is refused meanwhile, and told when to come again
        assert [patient.refused_for() for _ in range(3)] == [SHORTEST_PAUSE] * 3
    assert patient.refused_for() is None


def test_one_probe_at_a_time_among_threads() -> None:
    # given an open circuit whose pause is over
    patient = Patient()
    patient.fails(FAILURES)
    patient.clock.now += SHORTEST_PAUSE
    inside, leave, start = list[int](), threading.Event(), threading.Barrier(16)

    def try_one(number: int) -> None:
        start.wait(5)
        with suppress(TryLater), patient.breaker.call():
            inside.append(number)
            leave.wait(5)

    # when sixteen come at once
    with ThreadPoolExecutor(16) as pool:
        coming = [pool.submit(try_one, number) for number in range(16)]
        while sum(one.done() for one in coming) < 15:
            leave.wait(0.01)
        leave.set()
    # then one went through
    assert len(inside) == 1


@pytest.mark.parametrize("error", [EgressRefused("egress-query"), ValueError("ours"), KeyboardInterrupt()])
def test_a_probe_that_came_to_nothing_gives_its_place_to_the_next(patient: Patient, error: BaseException) -> None:
    patient.fails(FAILURES)
    patient.clock.now += SHORTEST_PAUSE
    patient.fails(1, error)
    assert patient.refused_for() is None


def test_calls_under_way_do_not_wait_for_each_other() -> None:
    patient, both = Patient(), threading.Barrier(2)

    def meet() -> None:
        with patient.breaker.call():
            both.wait(5)

    with ThreadPoolExecutor(2) as pool:
        assert [one.result() for one in [pool.submit(meet) for _ in range(2)]] == [None, None]


def test_calls_that_began_before_it_opened_change_nothing(patient: Patient) -> None:
    # given two calls under way while the circuit opens
    late, later = patient.breaker.call(), patient.breaker.call()
    late.__enter__()
    later.__enter__()
    patient.fails(FAILURES)
    # when one of them ends well and the other does not
    late.__exit__(None, None, None)
    with suppress(Unreachable):
        later.__exit__(Unreachable, DOWN, None)
    # then the pause is what it was
    assert patient.refused_for() == SHORTEST_PAUSE


def test_its_state_and_the_calls_refused_are_metrics() -> None:
    def value(name: str) -> float | None:
        return REGISTRY.get_sample_value(name, {"provider": "microsoft"})

    patient = Patient("microsoft")
    before = value("valet_provider_circuit_refused_total") or 0.0
    assert value("valet_provider_circuit_open") == 0
    patient.fails(FAILURES)
    assert value("valet_provider_circuit_open") == 1
    patient.refused_for()
    patient.refused_for()
    assert value("valet_provider_circuit_refused_total") == before + 2
    patient.clock.now += SHORTEST_PAUSE
    patient.call()
    assert value("valet_provider_circuit_open") == 0


class Life(RuleBasedStateMachine):
    """Any sequence of calls and waits keeps the promises."""

    def __init__(self) -> None:
        super().__init__()
        self.patient = Patient(chance=lambda: 0.5)
        self.row = 0  # calls in vain since the last answer
        self.asked = 0.0  # when the last of them was

    @rule(seconds=st.floats(0, 20))
    def wait(self, seconds: float) -> None:
        self.patient.clock.now += seconds

    @rule(well=st.booleans())
    def call(self, well: bool) -> None:
        reached = self.patient.reached
        try:
            self.patient.call(None if well else DOWN)
            self.row = 0
        except Unreachable:
            self.row, self.asked = self.row + 1, self.patient.clock.now
        except TryLater as error:
            pause = error.retry_after or 0.0
            self.judge_refusal(pause, reached)

    def judge_refusal(self, pause: float, reached: int) -> None:
        assert self.row >= FAILURES, "refused although the provider had not failed often enough"
        assert self.patient.reached == reached, "refused, and yet the provider was asked"
        assert 0 < pause <= LONGEST_PAUSE
        assert self.patient.clock.now - self.asked < LONGEST_PAUSE, "a provider is asked again within a minute"

    @precondition(lambda self: self.row >= FAILURES)
    @rule()
    def come_back_when_told(self) -> None:
        self.patient.clock.now += self.patient.refused_for() or 0.0
        assert self.patient.refused_for() is None
        self.row = 0


TestLife = Life.TestCase
TestLife.settings = hypothesis_settings(max_examples=50, stateful_step_count=30, deadline=None)


class NoWay:
    """A door that leads nowhere."""

    def __init__(self, _: Settings, **__: object) -> None:
        pass

    def ask(self, *_: object, **__: object) -> None:
        raise Unreachable("no-connection")


def test_the_adapters_are_behind_it_each_behind_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    # given adapters that reach nobody
    monkeypatch.setattr(adapters, "Door", NoWay)
    found = adapters.calendars(Settings())
    window = Interval(datetime(2030, 1, 7, tzinfo=UTC), datetime(2030, 1, 8, tzinfo=UTC))
    for adapter in found.values():
        # when so many hosts' calendars could not be read
        for host in range(FAILURES):
            with pytest.raises(Unreachable, match="no-connection"):
                adapter.busy(f"token-{host}", ["primary"], window)
        # then that provider's circuit is open, for every host
        with pytest.raises(TryLater, match="circuit-open"):
            adapter.busy("another", ["primary"], window)


def test_whoever_waits_for_a_provider_learns_when_to_ask_and_when_it_is_back() -> None:
    # given two providers, one of which goes down
    clock = Clock()
    down = Circuit(clock, lambda: 0.0)
    outages = Outages({"google": down, "microsoft": Circuit()})
    for _ in range(FAILURES):
        down.leave(down.enter(), answered=False)
    assert (outages.askable(), outages.over()) == ([], []), "not before its pause is over"
    # when the pause is over, one may ask, and while that one asks nobody else
    clock.now += SHORTEST_PAUSE
    assert outages.askable() == ["google"]
    probe = down.enter()
    assert outages.askable() == []
    # then it is told that it is back, until that is dealt with
    down.leave(probe, answered=True)
    assert (outages.askable(), outages.over(), outages.over()) == ([], ["google"], ["google"])
    outages.dealt_with("google")
    assert outages.over() == []

"""At most one request per connection under way; who asks meanwhile shares it, or the next."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from libs.testing.events import HOST, HOUR, SOON
from libs.testing.grants import calendar_of
from services.availability.domain import Window
from services.availability.flights import Flights, Inquiry, Look

LONG = 10  # seconds that nothing here takes, on the slowest machine
WEEK = Window(SOON, SOON + 7 * 24 * HOUR)
MORNING = Window(SOON, SOON + 4 * HOUR)


def inquiry(*windows: Window, fresh: bool = False, connection: str = "one", token: str = "token") -> Inquiry:
    calendars = (calendar_of(HOST, name=connection),)
    return Inquiry(HOST, connection, "google", token, calendars, windows, () if fresh else windows)


@dataclass
class Provider:
    """Answers when it is told to, and writes down what it was asked."""

    asked: list[Inquiry] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)
    most: int = 0
    error: Exception | None = None
    _now: int = 0

    def __call__(self, asked: Inquiry) -> Sequence[Look]:
        self.asked.append(asked)
        self._now += 1
        self.most = max(self.most, self._now)
        assert self.open.wait(LONG)
        self._now -= 1
        if self.error:
            raise self.error
        return [Look(window, float(len(self.asked)), {}) for window in asked.windows]


class Crowd:
    """Threads that ask, and a provider that keeps them waiting until `open`."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.provider = Provider()
        self.flights = Flights(self.provider)
        self.pool = pool

    def ask(self, *windows: Window, fresh: bool = False, connection: str = "one") -> "Future[Sequence[Look]]":
        """One more who asks; comes back when it is under way or waits."""
        ready = threading.Event()

        def known() -> Sequence[Look]:
            ready.set()
            return ()

        asked = inquiry(*(windows or (WEEK,)), fresh=fresh, connection=connection)
        future = self.pool.submit(self.flights.ask, asked, known)
        assert ready.wait(LONG)
        return future

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LONG
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def away(self, requests: int = 1) -> None:
        """Wait until so many requests have left."""
        self.until(lambda: len(self.provider.asked) == requests)

    def boarding(self) -> None:
        """Wait until whoever asked last has a place: the lock is free again."""
        with self.flights._lock:
            pass


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    with ThreadPoolExecutor(40) as pool:
        made = Crowd(pool)
        yield made
        made.provider.open.set()


@contextmanager
def answered(crowd: Crowd) -> Iterator[None]:
    crowd.boarding()
    crowd.provider.open.set()
    yield


def test_twenty_who_ask_the_same_share_one_request(crowd: Crowd) -> None:
    first = crowd.ask()
    crowd.away()
    others = [crowd.ask() for _ in range(19)]

    with answered(crowd):
        assert {future.result(LONG)[0].began for future in [first, *others]} == {1}
    assert len(crowd.provider.asked) == 1


def test_who_must_have_a_fresh_answer_shares_only_a_request_that_begins_later(crowd: Crowd) -> None:
    old = crowd.ask()
    crowd.away()
    fresh = [crowd.ask(MORNING, fresh=True) for _ in range(5)]

    with answered(crowd):
        assert [future.result(LONG)[0].began for future in fresh] == [2] * 5
    assert old.result(LONG)[0].began == 1
    assert crowd.provider.most == 1, "never two at once"
    assert len(crowd.provider.asked) == 2, "the five went together"


def test_two_fresh_ones_do_not_share_what_is_under_way(crowd: Crowd) -> None:
    first = crowd.ask(MORNING, fresh=True)
    crowd.away()
    second = crowd.ask(MORNING, fresh=True)

    with answered(crowd):
        assert (first.result(LONG)[0].began, second.result(LONG)[0].began) == (1, 2)


def test_who_asks_for_more_than_is_under_way_takes_the_next(crowd: Crowd) -> None:
    crowd.ask(MORNING)
    crowd.away()
    more, same = crowd.ask(WEEK), crowd.ask(MORNING)

    with answered(crowd):
        assert more.result(LONG)[0].window == WEEK
        assert same.result(LONG)[0].began == 1


def test_those_who_wait_are_asked_about_together(crowd: Crowd) -> None:
    crowd.ask()
    crowd.away()
    evening = Window(SOON + 9 * HOUR, SOON + 12 * HOUR)
    waiting = [crowd.ask(MORNING, fresh=True), crowd.ask(evening, fresh=True), crowd.ask(MORNING, fresh=True)]

    with answered(crowd):
        for future in waiting:
            future.result(LONG)
    assert [asked.windows for asked in crowd.provider.asked] == [(WEEK,), (MORNING, evening)]


def test_connections_do_not_wait_for_each_other(crowd: Crowd) -> None:
    crowd.ask(connection="one")
    crowd.ask(connection="two")

    crowd.away(2)


def test_what_is_known_keeps_everybody_at_home() -> None:
    provider = Provider()
    look = Look(WEEK, 0.0, {})

    assert Flights(provider).ask(inquiry(WEEK), lambda: [look]) == [look]
    assert provider.asked == []


def test_a_failure_reaches_the_one_who_led_and_leaves_the_others_without_an_answer(crowd: Crowd) -> None:
    crowd.provider.error = RuntimeError("made up")
    leads = crowd.ask()
    crowd.away()
    shares, next_ = crowd.ask(), crowd.ask(MORNING, fresh=True)

    with answered(crowd):
        assert isinstance(leads.exception(LONG), RuntimeError)
    assert shares.result(LONG) == ()
    assert isinstance(next_.exception(LONG), RuntimeError)


def test_after_a_failure_it_flies_again() -> None:
    provider = Provider(error=RuntimeError("made up"))
    provider.open.set()
    flights = Flights(provider)
    with pytest.raises(RuntimeError):
        flights.ask(inquiry(WEEK))
    provider.error = None

    assert flights.ask(inquiry(WEEK))[0].window == WEEK


def test_the_latest_token_is_used(crowd: Crowd) -> None:
    both = inquiry(MORNING, token="old").and_(inquiry(WEEK, token="new"))

    assert both.token == "new"
    assert "new" not in repr(both)

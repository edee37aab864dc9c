"""A mailbox is asked a few things at once, and no more; and every call of the port goes through its guard."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from libs.config.settings import Settings
from libs.contracts.events import Provider
from libs.providers import adapters
from libs.providers.adapters import Guarded, calendars, limited
from libs.providers.errors import RateLimited, TryLater
from libs.providers.limits import GOOGLE, MICROSOFT
from libs.providers.port import Busy, Entry, Interval, Placed, Unreadable
from libs.testing.calendars import CalendarDouble

NOW = datetime(2030, 1, 7, tzinfo=UTC)
WINDOW = Interval(NOW, NOW)
ENTRY = Entry("e1", "t1", "m1", NOW, NOW, "Ada Example", "")


class Crowded(CalendarDouble):
    """A calendar that counts how many are inside at once, and lets nobody out until told."""

    def __init__(self) -> None:
        super().__init__("microsoft")
        self.inside = 0
        self.most = 0
        self.out = threading.Event()

    def busy(self, token: str, calendars: Sequence[str], window: Interval) -> Mapping[str, Busy | Unreadable]:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.out.wait(5)
        with self._lock:
            self.inside -= 1
        return {}


def test_only_so_many_at_once_per_mailbox() -> None:
    # given a mailbox, asked twelve things at once
    crowded = Crowded()
    behind = limited(crowded, 2, 5)
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(behind.busy, "token", ["primary"], WINDOW) for _ in range(12)]
        crowded.out.wait(0.3)
        # then two are let in, the others after them
        assert crowded.inside == 2
        crowded.out.set()
        assert [question.result() for question in asked] == [{}] * 12
    assert crowded.most == 2


def test_who_waits_too_long_is_told_to_come_later() -> None:
    # given a mailbox with nobody leaving
    crowded = Crowded()
    behind = limited(crowded, 1, 0.1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(behind.busy, "token", ["primary"], WINDOW)
        while not crowded.inside:
            crowded.out.wait(0.01)
        # then the next is told, and another mailbox is not held up by it
        with pytest.raises(TryLater):
            behind.busy("token", ["primary"], WINDOW)
        crowded.out.set()
        assert first.result() == {}
        assert behind.busy("another", ["primary"], WINDOW) == {}


def test_a_pause_outlasts_the_token_that_it_was_given_to() -> None:
    # given a mailbox that asks to be left alone
    double = CalendarDouble("microsoft")
    double.add_calendar("primary", "first token")
    double.add_calendar("primary", "second token")
    double.fail("busy", RateLimited("microsoft-429", 60))
    behind = limited(double, 2, 5, lambda _: "the mailbox of both")
    with pytest.raises(RateLimited, match="microsoft-429"):
        behind.busy("first token", ["primary"], WINDOW)
    # when its token has been renewed meanwhile, then it is still left alone
    with pytest.raises(RateLimited, match="mailbox-paused"):
        behind.put("second token", "primary", ENTRY)
    assert len(double.calls) == 1


def test_every_call_goes_through_the_guard_and_arrives() -> None:
    # given a calendar behind a guard that notes who comes
    double, seen = CalendarDouble("microsoft"), list[str]()
    double.add_calendar("primary", "token")

    @contextmanager
    def noting(token: str) -> Iterator[None]:
        seen.append(token)
        yield

    behind = Guarded(double, noting)
    calls: tuple[Callable[[], object], ...] = (
        lambda: behind.busy("token", ["primary"], WINDOW),
        lambda: behind.put("token", "primary", ENTRY),
        lambda: behind.look("token", "primary", ENTRY),
        lambda: behind.discard("token", "primary", ENTRY, "other"),
        lambda: behind.remove("token", "primary", ENTRY),
    )
    # when each is called once
    answers = [call() for call in calls]
    # then each has passed the guard and reached the calendar, and brought its answer back
    assert seen == ["token"] * 5
    assert [name for name, _ in double.calls] == ["busy", "put", "look", "discard", "remove"]
    assert answers[1:2] == [Placed("e1", created=True)]
    assert answers[3:] == [False, True]
    assert behind.provider == "microsoft"


def test_there_is_an_adapter_for_each_provider() -> None:
    found = calendars(Settings())
    assert {name: adapter.provider for name, adapter in found.items()} == {"google": "google", "microsoft": "microsoft"}


@pytest.mark.parametrize(("provider", "most"), [("google", GOOGLE), ("microsoft", MICROSOFT)])
def test_at_neither_provider_is_a_mailbox_asked_more_than_it_can_bear(
    monkeypatch: pytest.MonkeyPatch, provider: Provider, most: int
) -> None:
    # given the adapters as they are made, with the last of them replaced by one that lets nobody out
    crowded = Crowded()
    monkeypatch.setattr(adapters, "GoogleCalendar", lambda *_: crowded)
    monkeypatch.setattr(adapters, "MicrosoftCalendar", lambda *_: crowded)
    behind = calendars(Settings())[provider]
    # when a host who was away connects again, and all that was parked goes on at once
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(behind.busy, "token", ["primary"], WINDOW) for _ in range(20)]
        crowded.out.wait(0.3)
        crowded.out.set()
        assert [question.result() for question in asked] == [{}] * 20
    assert crowded.most == most

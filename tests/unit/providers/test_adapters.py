"""A mailbox is asked a few things at once, and no more."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from libs.contracts.events import Provider
from libs.providers.adapters import Limited
from libs.providers.errors import TryLater
from libs.providers.limits import KeyedLimiter
from libs.providers.port import Busy, Entry, Interval, Placed, Unreadable

NOW = datetime(2030, 1, 7, tzinfo=UTC)
WINDOW = Interval(NOW, NOW)


class Crowded:
    """A calendar that counts how many are inside at once, and lets nobody out until told."""

    provider: Provider = "microsoft"

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.out = threading.Event()
        self._lock = threading.Lock()

    def busy(self, token: str, calendars: Sequence[str], window: Interval) -> Mapping[str, Busy | Unreadable]:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.out.wait(5)
        with self._lock:
            self.inside -= 1
        return {}

    def put(self, token: str, calendar: str, entry: Entry) -> Placed:
        raise NotImplementedError

    def remove(self, token: str, calendar: str, entry: Entry) -> bool:
        raise NotImplementedError


def test_four_at_once_per_mailbox() -> None:
    # given a mailbox, asked twelve things at once
    crowded = Crowded()
    limited = Limited(crowded, KeyedLimiter(4), 5)
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(limited.busy, "token", ["primary"], WINDOW) for _ in range(12)]
        crowded.out.wait(0.3)
        # then four are let in, the others after them
        assert crowded.inside == 4
        crowded.out.set()
        assert [question.result() for question in asked] == [{}] * 12
    assert crowded.most == 4


def test_who_waits_too_long_is_told_to_come_later() -> None:
    # given a mailbox with nobody leaving
    crowded = Crowded()
    limited = Limited(crowded, KeyedLimiter(1), 0.1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(limited.busy, "token", ["primary"], WINDOW)
        while not crowded.inside:
            crowded.out.wait(0.01)
        # then the next is told, and another mailbox is not held up by it
        with pytest.raises(TryLater):
            limited.busy("token", ["primary"], WINDOW)
        crowded.out.set()
        assert first.result() == {}
        assert limited.busy("another", ["primary"], WINDOW) == {}

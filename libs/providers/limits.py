"""How much one mailbox is asked for at once, and that it is left alone for as long as it says.

Graph allows four concurrent calls per app and mailbox (https://learn.microsoft.com/graph/throttling-limits, Outlook service).
Two kinds of processes call it, availability and calendar-writer, so each takes two. Several replicas of one service may come
to more, when they work for the same mailbox in the same second; then Graph answers 429 with Retry-After, and the process that
got it asks that mailbox nothing until then. Keeping count across replicas would cost a question to a shared store per call.

Google names no such number, but lets an app ask 600 times a minute for one user
(https://developers.google.com/workspace/calendar/api/guides/quota). When a host who was away connects again, all that was parked
for them goes on at once: four side by side, at some 400 ms a call, come to about that.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from libs.providers.errors import RateLimited, TryLater

MICROSOFT, GOOGLE = 2, 4
"""Calls at once for one mailbox, per process."""


class KeyedLimiter:
    """A semaphore per key, kept only while somebody holds it or waits for it; and pauses, kept until they are over.

    `clock` gives monotonic seconds.
    """

    def __init__(self, limit: int = MICROSOFT, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, tuple[threading.BoundedSemaphore, int]] = {}
        self._paused: dict[str, float] = {}

    @contextmanager
    def slot(self, key: str, timeout: float) -> Iterator[None]:
        """Hold one of the key's slots. Raises TryLater("mailbox-busy") if none comes free within `timeout` seconds.

        A RateLimited with `retry_after` that is raised inside pauses the key: until it is over, every further call gets
        RateLimited("mailbox-paused") with the seconds left.
        """
        semaphore = self._join(key)
        try:
            if not semaphore.acquire(timeout=timeout):
                raise TryLater("mailbox-busy")
            try:
                with self._unpaused(key):
                    yield
            finally:
                semaphore.release()
        finally:
            self._leave(key)

    def keys(self) -> frozenset[str]:
        """The keys somebody holds or waits for now, and those that are paused."""
        with self._lock:
            return frozenset(self._held) | frozenset(self._paused)

    @contextmanager
    def _unpaused(self, key: str) -> Iterator[None]:
        with self._lock:
            left = self._paused.get(key, 0.0) - self._clock()
        if left > 0:
            raise RateLimited("mailbox-paused", left)
        try:
            yield
        except RateLimited as error:
            self._pause(key, error.retry_after or 0.0)
            raise

    def _pause(self, key: str, seconds: float) -> None:
        with self._lock:
            now = self._clock()
            until = {**self._paused, key: max(now + seconds, self._paused.get(key, 0.0))}
            self._paused = {name: end for name, end in until.items() if end > now}

    def _join(self, key: str) -> threading.BoundedSemaphore:
        with self._lock:
            semaphore, users = self._held.get(key, (threading.BoundedSemaphore(self._limit), 0))
            self._held[key] = (semaphore, users + 1)
            return semaphore

    def _leave(self, key: str) -> None:
        with self._lock:
            semaphore, users = self._held[key]
            if users == 1:
                del self._held[key]
            else:
                self._held[key] = (semaphore, users - 1)

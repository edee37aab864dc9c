"""At most so many at once per key: Graph allows four concurrent calls per app and mailbox."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from libs.providers.errors import TryLater

PER_MAILBOX = 4
"""https://learn.microsoft.com/graph/throttling-limits: Outlook service, concurrent requests per app and mailbox."""


class KeyedLimiter:
    """A semaphore per key, kept only while somebody holds it or waits for it."""

    def __init__(self, limit: int = PER_MAILBOX) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._held: dict[str, tuple[threading.BoundedSemaphore, int]] = {}

    @contextmanager
    def slot(self, key: str, timeout: float) -> Iterator[None]:
        """Hold one of the key's slots. Raises TryLater("mailbox-busy") if none comes free within `timeout` seconds."""
        semaphore = self._join(key)
        try:
            if not semaphore.acquire(timeout=timeout):
                raise TryLater("mailbox-busy")
            try:
                yield
            finally:
                semaphore.release()
        finally:
            self._leave(key)

    def keys(self) -> frozenset[str]:
        """The keys somebody holds or waits for now."""
        with self._lock:
            return frozenset(self._held)

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

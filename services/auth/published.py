"""The public keys for sealed requests, the booking service's: kept for a while, for anybody may ask for them without end."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from libs.messaging.errors import RpcError, ServiceUnavailable

FRESH: Final = timedelta(minutes=1)
STALE: Final = timedelta(hours=1)
"""How long an answer serves while the booking service is away."""
PAUSE: Final = timedelta(seconds=5)
"""How long nobody asks again after it did not answer."""


class Published:
    """A JWK set (RFC 7517) as JSON. `keys` asks the booking service."""

    def __init__(self, keys: Callable[[], object], clock: Callable[[], datetime]) -> None:
        self._ask = keys
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: tuple[datetime, bytes] | None = None
        self._rests: datetime | None = None

    def __call__(self) -> bytes:
        """Raises RpcError if there is no answer, and none that still serves."""
        with self._lock:  # one asks, and the others take what it got
            now = self._clock()
            if self._kept is not None and now - self._kept[0] < FRESH:
                return self._kept[1]
            if self._rests is None or now >= self._rests:
                self._renew(now)
            if self._kept is None or now - self._kept[0] > STALE:
                raise ServiceUnavailable("booking.public_keys")
            return self._kept[1]

    def _renew(self, now: datetime) -> None:
        try:
            self._kept = now, msgspec.json.encode(self._ask())
        except RpcError:
            self._rests = now + PAUSE

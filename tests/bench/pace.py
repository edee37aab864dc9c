"""When to send: so many on their way at a time (closed loop), or by the clock (open loop)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

PAUSE = 0.2  # seconds; how long nothing may happen before one looks again


class Pace(Protocol):
    """When to send."""

    def due(self, sent: int, back: int, now: float) -> tuple[int, float]:
        """How many more to send now, and in how many seconds there may be more to send."""
        ...


@dataclass(frozen=True)
class Window:
    """So many on their way at a time."""

    wide: int

    def due(self, sent: int, back: int, now: float) -> tuple[int, float]:
        return max(0, self.wide - (sent - back)), PAUSE


@dataclass(frozen=True)
class Clock:
    """At these times (of `time.monotonic`), however the others fare."""

    times: Sequence[float]

    def due(self, sent: int, back: int, now: float) -> tuple[int, float]:
        late = next((place for place in range(sent, len(self.times)) if self.times[place] > now), len(self.times))
        ahead = self.times[late] - now if late < len(self.times) else PAUSE
        return late - sent, min(ahead, PAUSE)


class Nothing:
    """Never."""

    def due(self, sent: int, back: int, now: float) -> tuple[int, float]:
        return 0, PAUSE

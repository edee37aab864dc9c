"""When to try again: policy as data."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from libs.contracts.reasons import Reason
from libs.messaging.topology import LADDER, Rung

CEILINGS: Mapping[Reason | None, Rung] = {
    Reason.LOST_RACE: LADDER[1],
    Reason.STORE_UNAVAILABLE: LADDER[2],
    Reason.SERVICE_UNAVAILABLE: LADDER[2],
}
"""The longest delay by reason; for all others, what the policy says."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """One rung of the ladder per attempt, the last one repeated; `attempts` is how often in all, None for ever."""

    rungs: tuple[Rung, ...] = LADDER
    attempts: int | None = None

    def next(self, attempt: int, after: float | None = None, reason: Reason | None = None) -> "Delay | None":
        """The delay after the given attempt (from 1) failed, never shorter than `after` seconds; None to give up.

        Trouble inside the house is over soon, or somebody is at it: then the delay stays below a ceiling.
        """
        if self.attempts is not None and attempt >= self.attempts:
            return None
        rung = min(self.rungs[min(attempt, len(self.rungs)) - 1], CEILINGS.get(reason, LADDER[-1]), key=_seconds)
        if after is not None and after > rung.seconds / 2:
            rung = next((r for r in LADDER if r.seconds >= after), LADDER[-1])
        shortest = max(rung.seconds / 2, min(after or 0, rung.seconds))
        # Spread over the upper half, so that what failed together does not come back together.
        return Delay(rung, int(random.uniform(shortest, rung.seconds) * 1000))  # noqa: S311 - jitter, not a secret


@dataclass(frozen=True, slots=True)
class Delay:
    """Where a message waits, and how long: `milliseconds` is at most the rung's own time."""

    rung: Rung
    milliseconds: int


PATIENT = RetryPolicy()
"""For what must be done in the end, however long it takes."""

SOON = RetryPolicy(rungs=LADDER[:3])
"""For requests: somebody waits for the answer, and whoever is erased must not wait in a delay for long."""

QUICK = RetryPolicy(rungs=LADDER[:3], attempts=12)
"""For questions that are pointless after some minutes."""


def _seconds(rung: Rung) -> int:
    return rung.seconds

"""What the use cases of availability work with."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.contracts.reasons import Reason
from libs.messaging.grants import Grants
from libs.messaging.switched import Looks
from libs.mongo.outbox import Sends
from services.availability.agenda import Agenda
from services.availability.reading import Reader
from services.availability.rulebook import RuleBook

NOT_CONNECTED: dict[str, Reason] = {
    "unknown": Reason.UNKNOWN_HOST,
    "invited": Reason.HOST_NOT_CONNECTED,
    "disconnected": Reason.HOST_NOT_CONNECTED,
}
"""States of a host in which there is nothing to read, and what is said then."""


class BadQuestion(Exception):
    """A question that cannot be answered as it is; the text names what is wrong and what to do."""


class NotNow(Exception):
    """A question that cannot be answered at the moment; the text says what to do."""


class Deadline:
    """Some seconds from now on."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds, 0 at least."""
        return max(0.0, self._until - time.monotonic())


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for every booking of this installation, whatever its host's rules: the same as booking's."""

    grid_minutes: int
    longest: timedelta
    horizon: timedelta


@dataclass(frozen=True, slots=True)
class Desk:
    """`switches` keeps in step with what an operator has switched off. `hold` is how long a booking is held for us; `teller` sends
    the answers to holds, `rules_relay` empties the outbox of rules.

    `answer_within` is the seconds that an answer about slots may take: whoever asks must not be left to time out.
    """

    grants: Grants
    reader: Reader
    switches: Looks
    rules: RuleBook
    agenda: Agenda
    teller: Sends
    rules_relay: Sends
    limits: Limits
    hold: timedelta
    clock: Callable[[], datetime]
    answer_within: float = 3.5

"""A circuit breaker per provider: when it is down, calls end at once instead of at their time-out, and it is not hammered.

Written here because pybreaker 1.4 holds its lock during the whole call (one call at a time), and circuitbreaker 2.1 and
purgatory 3.0 let every caller through while half open.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from libs.contracts.events import Provider
from libs.providers.errors import EgressRefused, ProviderError, SwitchedOff, TryLater, Unreachable
from libs.telemetry.metrics import PROVIDER_CIRCUIT_OPEN, PROVIDER_CIRCUIT_REFUSED

FAILURES = 5
"""So many operations in a row without an answer open the circuit, if they are not all of one mailbox: that may be ill by
itself, and a circuit opened for it alone would shut out everybody else."""

SHORTEST_PAUSE = 5.0
LONGEST_PAUSE = 60.0
"""Seconds. Each failed probe doubles the pause, from the shortest to the longest; up to a fifth is taken off by chance."""


class Circuit:
    """The states closed, open and half open, and nothing of calls. Safe for threads and greenlets; waits for nobody.

    `clock` gives monotonic seconds, `chance` a number in [0, 1).
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._lock = threading.Lock()
        self._failures = 0  # in a row
        self._mailboxes: frozenset[str | None] = frozenset()  # of those, two at most are kept
        self._openings = 0  # in a row; 0 means closed
        self._comebacks = 0
        self._until = 0.0
        self._probe: object | None = None

    @property
    def is_open(self) -> bool:
        """Whether calls are refused, a single probe aside."""
        return self._openings > 0

    @property
    def is_askable(self) -> bool:
        """Whether it is open, its pause is over and nobody asks: a call now would be the probe."""
        return self.is_open and self._probe is None and self._clock() >= self._until

    @property
    def comebacks(self) -> int:
        """How often the provider has answered again after the circuit was open."""
        return self._comebacks

    def enter(self) -> object:
        """A ticket for one call, which must come back. Raises TryLater("circuit-open") with the seconds to wait."""
        ticket = object()
        with self._lock:
            if self._openings:
                left = self._until - self._clock()
                if left > 0 or self._probe is not None:
                    raise TryLater("circuit-open", max(left, 0.0) or SHORTEST_PAUSE)
                self._probe = ticket
        return ticket

    def leave(self, ticket: object, answered: bool | None, mailbox: str | None = None) -> None:
        """The call is over: the provider answered, did not answer, or (None) nothing is known. Without a `mailbox` it counts as
        anybody's."""
        with self._lock:
            is_probe = self._probe is ticket
            if is_probe:
                self._probe = None
            elif self._openings:
                return  # it began before the circuit opened, and says nothing new
            if answered:
                self._comebacks += self._openings > 0
                self._failures = self._openings = 0
                self._mailboxes = frozenset()
            elif answered is False:
                self._failed(mailbox)
                if is_probe or (self._failures >= FAILURES and self._shared()):
                    self._open()

    def _failed(self, mailbox: str | None) -> None:
        self._failures += 1
        if len(self._mailboxes) < 2:
            self._mailboxes |= {mailbox}

    def _shared(self) -> bool:
        return len(self._mailboxes) > 1 or None in self._mailboxes

    def _open(self) -> None:
        pause = min(SHORTEST_PAUSE * 2.0**self._openings, LONGEST_PAUSE)
        self._openings += 1
        self._until = self._clock() + pause * (1 - self._chance() / 5)


class Breaker:
    """A provider's circuit around its calls, and what Prometheus sees of it."""

    def __init__(self, provider: Provider, circuit: Circuit | None = None) -> None:
        self._circuit = circuit or Circuit()
        self._open = PROVIDER_CIRCUIT_OPEN.labels(provider)
        self._refused = PROVIDER_CIRCUIT_REFUSED.labels(provider)
        self._open.set(0)

    @contextmanager
    def call(self, mailbox: str | None = None) -> Iterator[None]:
        """Run one operation, at one mailbox (any text that tells it from others).

        Raises TryLater("circuit-open", seconds left) without running it while the circuit is open.

        Only Unreachable counts against the provider: whoever refuses, limits or asks for another token is there.
        """
        try:
            ticket = self._circuit.enter()
        except TryLater:
            self._refused.inc()
            raise
        answered: bool | None = None
        try:
            yield
            answered = True
        except ProviderError as error:
            answered = None if isinstance(error, EgressRefused | SwitchedOff) else not isinstance(error, Unreachable)
            raise
        finally:
            self._circuit.leave(ticket, answered, mailbox)
            self._open.set(self._circuit.is_open)


class Outages:
    """What this process sees of providers that are down, for whoever has work waiting for them."""

    def __init__(self, circuits: Mapping[Provider, Circuit]) -> None:
        self._circuits = circuits
        self._known = dict.fromkeys(circuits, 0)

    def askable(self) -> list[Provider]:
        """Providers that count as down, and may be asked by one call now."""
        return [provider for provider, circuit in self._circuits.items() if circuit.is_askable]

    def over(self) -> list[Provider]:
        """Providers that have come back, and for which nobody has said since that this is dealt with."""
        return [provider for provider, circuit in self._circuits.items() if circuit.comebacks > self._known[provider]]

    def dealt_with(self, provider: Provider) -> None:
        """What waited for the provider goes on."""
        self._known[provider] = self._circuits[provider].comebacks

"""Which providers an operator has switched off. For those, nothing leaves the process: the door asks here at every request."""

from collections.abc import Iterable
from typing import Final, get_args

from libs.contracts.events import Provider
from libs.providers.errors import SwitchedOff
from libs.telemetry.logs import logger
from libs.telemetry.metrics import PROVIDER_SWITCHED_OFF

PROVIDERS: Final[tuple[Provider, ...]] = get_args(Provider)


class Switches:
    """What this process knows of the switches. All are on until something else is learnt.

    One instance serves all threads or greenlets of a process: what is known is replaced as a whole.
    """

    def __init__(self) -> None:
        self._off: frozenset[Provider] = frozenset()
        self._measure()

    @property
    def off(self) -> frozenset[Provider]:
        """The providers that are switched off."""
        return self._off

    def learn(self, off: Iterable[Provider]) -> bool:
        """Take this as known from now on; whether it is news."""
        before, self._off = self._off, frozenset(off)
        self._measure()
        for provider in before ^ self._off:
            logger().warning("provider switched", provider=provider, on=provider not in self._off)
        return before != self._off

    def check(self, provider: Provider) -> None:
        """Raises SwitchedOff if nothing may leave for this provider."""
        if provider in self._off:
            raise SwitchedOff

    def _measure(self) -> None:
        for provider in PROVIDERS:
            PROVIDER_SWITCHED_OFF.labels(provider).set(provider in self._off)

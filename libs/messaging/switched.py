"""Keeps a process's knowledge of which providers are switched off as auth says. Every replica asks for itself: an event reaches
one of them only."""

from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from libs.contracts.events import Provider
from libs.messaging.errors import RpcFailed, ServiceUnavailable
from libs.messaging.grants import AuthUnavailable
from libs.messaging.rpc import Ask
from libs.telemetry.logs import logger

EVERY = 2.0
"""Seconds between two questions, and seconds that an answer may take: within twice that, nothing leaves any more."""


class Provided(msgspec.Struct, frozen=True):
    """One line of what `auth.providers()` answers."""

    provider: Provider
    on: bool


class Learns(Protocol):
    """Takes what is switched off; says whether that is news (`libs.providers.switches.Switches.learn`)."""

    def __call__(self, off: Iterable[Provider], /) -> bool: ...


class Looks(Protocol):
    """Keeps in step with auth."""

    def __call__(self) -> frozenset[Provider]:
        """Ask now; the providers that are off. Raises AuthUnavailable, and what was known before stays so."""
        ...

    def look(self) -> None:
        """Ask now. Never raises for an auth that does not answer."""
        ...


class Learner:
    """Asks auth, and passes it on. `forget` is called when something was switched: remembered access is out of date then."""

    def __init__(self, ask: Ask, learn: Learns, forget: Callable[[], None]) -> None:
        self._ask = ask
        self._learn = learn
        self._forget = forget
        self._lost = False

    def __call__(self) -> frozenset[Provider]:
        """See the port."""
        try:
            told = msgspec.convert(self._ask("auth", "providers", deadline=EVERY), list[Provided])
        except (ServiceUnavailable, RpcFailed, msgspec.ValidationError):
            raise AuthUnavailable from None
        off = frozenset(one.provider for one in told if not one.on)
        if self._learn(off):
            self._forget()
        return off

    def look(self) -> None:
        """See the port. That auth does not answer is said once, not every time."""
        try:
            self()
        except AuthUnavailable:
            if not self._lost:
                logger().warning("switches of providers not learnt: auth does not answer")
            self._lost = True
        else:
            self._lost = False

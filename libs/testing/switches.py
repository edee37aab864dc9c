"""Which providers are switched off, in memory."""

from libs.contracts.events import Provider
from libs.messaging.grants import AuthUnavailable


class MemorySwitches:
    """The port `libs.messaging.switched.Looks`. With `away` set, auth does not answer."""

    def __init__(self) -> None:
        self.off: set[Provider] = set()
        self.looked = 0
        self.away = False

    def __call__(self) -> frozenset[Provider]:
        """See the port."""
        self.looked += 1
        if self.away:
            raise AuthUnavailable
        return frozenset(self.off)

    def look(self) -> None:
        """See the port."""
        self.looked += 1

"""What every replica of a service knows of its master keys. A question reaches one replica; the broker says how many there are."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from deploy.cli.asking import NAME, Questions, understood
from deploy.cli.errors import Trouble
from libs.config.settings import Settings
from libs.messaging import topology
from libs.messaging.errors import BusUnavailable
from libs.messaging.link import CLOSED, Link

WRAPPING = ("auth", "booking")
"""The services that keep data keys."""
PAGE = 500
"""Data keys wrapped anew by one question."""
POLL = 0.5  # seconds


class Status(msgspec.Struct, frozen=True):
    """What one replica says. `wrapped` is by master key, `made` RFC 3339."""

    replica: str
    current: str
    known: tuple[str, ...]
    made: dict[str, str] = {}
    wrapped: dict[str, int] = {}


class Page(msgspec.Struct, frozen=True):
    """What one question wrapped anew."""

    rewrapped: int
    left: int
    unreadable: int = 0
    next: str | None = None


class Replicas:
    """Asks all replicas of a service."""

    def __init__(self, settings: Settings) -> None:
        self._link = Link(settings, NAME)
        self._ask = Questions(settings)

    def close(self) -> None:
        """Close the connection."""
        self._ask.close()

    def running(self, service: str) -> int:
        """How many replicas answer, as the broker sees it. Raises Trouble."""
        try:
            connection = self._link.open()
        except BusUnavailable as error:
            raise Trouble(f"the bus is out of reach ({error})", "run `valet doctor` to see what is down") from None
        try:
            queue = topology.QuestionQueue(service, "keys").name
            declared = connection.connection.channel().queue_declare(queue, passive=True)
            return int(declared.consumer_count)
        except CLOSED:
            raise Trouble(f"{service} has never run here", f"start {service}, then do it again") from None
        finally:
            with suppress(*CLOSED):
                connection.release()

    def heard(self, service: str) -> tuple[Sequence[Status], int]:
        """One answer of each replica that was heard, and how many run. Raises Trouble if none answers."""
        running = self.running(service)
        found: dict[str, Status] = {}
        for _ in range(4 * running + 1):  # the broker gives questions to the replicas in turn
            status = understood(self._ask(service, "keys"), Status, service)
            found[status.replica] = status
            if len(found) >= running:
                break
        return list(found.values()), running

    def agreed(self, service: str, what: str, holds: Callable[[Status], bool], seconds: float) -> Sequence[Status]:
        """Every replica's answer, as soon as it holds for all. Raises Trouble if it does not in time."""
        deadline = time.monotonic() + seconds
        while True:
            trouble = Trouble(f"not every replica of {service} {what} after {seconds:.0f} s", LATE)
            try:
                found, running = self.heard(service)
                if len(found) >= running and all(holds(status) for status in found):
                    return found
            except Trouble as error:
                trouble = error
            if time.monotonic() >= deadline:
                raise trouble
            time.sleep(POLL)

    def rewrap(self, service: str, after: str, seconds: float) -> Page:
        """Have one page wrapped anew; a service that is away is asked again for so many seconds. Raises Trouble."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return understood(self._ask(service, "rewrap_keys", PAGE, after), Page, service)
            except Trouble:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(POLL)


LATE = (
    "see that the file is the one it reads (VALET_KEYRING) and that the Secret has arrived, then do it again: nothing is lost, "
    "and what is done already is not done twice"
)

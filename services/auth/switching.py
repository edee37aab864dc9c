"""The kill switch: an operator takes a provider out of use for the whole of Valet, and back into it.

While it is off, auth hands out no access token for it, refreshes and proves none, connects nobody, and tells it of nobody who
disconnects. The other processes ask every two seconds (`libs.messaging.switched`) and close their doors.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Meta

from libs.contracts.events import Provider
from libs.mongo.errors import StoreUnavailable
from libs.mongo.outbox import Sends
from libs.providers.switches import Switches
from libs.telemetry.logs import logger
from services.auth.domain import PROVIDERS
from services.auth.outgoing import provider_switched
from services.auth.questions import BadQuestion, checked
from services.auth.switches import Switch, SwitchBook

WHY: Final = "why: 1 to 200 characters in one line, to switch a provider off; nothing personal"
Why = Annotated[str, Meta(max_length=200, pattern=r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f\u2028\u2029]+\Z")]


class Switchboard:
    """The switches: how they stand in the store, and what this process knows of them. `known` is what its doors look at."""

    def __init__(self, book: SwitchBook, relay: Sends, clock: Callable[[], datetime], known: Switches) -> None:
        self._book = book
        self._relay = relay
        self._clock = clock
        self.known = known

    def standing(self) -> Sequence[Switch]:
        """The switches that were ever touched, and what they say is known from now on. Raises StoreUnavailable."""
        switches = self._book.standing()
        self.known.learn(switch.provider for switch in switches if not switch.on)
        return switches

    def off(self) -> frozenset[Provider]:
        """The providers that are off now, as the store says. Raises StoreUnavailable."""
        self.standing()
        return self.known.off

    def set(self, provider: Provider, on: bool, why: str | None) -> None:
        """Set a switch; to set it as it stands changes nothing and tells nobody. Raises StoreUnavailable."""
        while True:  # somebody else may set it between our reading and our writing
            before = next((switch for switch in self.standing() if switch.provider == provider), None)
            if (on, why) == ((before.on, before.why) if before else (True, None)):
                return
            now = self._clock()
            same = before is not None and before.on == on
            since = before.since if before and same else now
            switch = Switch(provider, on, before.version + 1 if before else 1, since, why)
            event = provider_switched(provider, on, switch.version, now)
            if self._book.put(switch, event):
                self._relay.send({provider: [event]})
                self.standing()
                return


def providers(board: Switchboard) -> list[dict[str, Any]]:
    """Every provider: whether it is on, since when (RFC 3339, null where it was never touched) and why. Raises StoreUnavailable."""
    known = {switch.provider: switch for switch in board.standing()}
    return [_shown(provider, known.get(provider)) for provider in PROVIDERS]


def switch_provider(provider: object, on: object, why: object, board: Switchboard) -> dict[str, Any]:
    """Switch a provider off or on, for the whole of Valet; how it stands then, as `providers` shows it.

    `why`, in the operator's words, is needed to switch off. Safe to repeat. Raises BadQuestion, StoreUnavailable.
    """
    which: Provider = checked(provider, Provider, "provider: google or microsoft")
    wanted: bool = checked(on, bool, "on: true or false")
    words: str | None = checked(why, Why | None, WHY)
    if not wanted and words is None:
        raise BadQuestion(WHY)
    board.set(which, wanted, words)
    return next(row for row in providers(board) if row["provider"] == which)


def learn(board: Switchboard) -> None:
    """The timer's share: know what another replica has switched."""
    try:
        board.standing()
    except StoreUnavailable as error:
        logger().warning("switches of providers not learnt", error=type(error).__name__)


def _shown(provider: Provider, switch: Switch | None) -> dict[str, Any]:
    if switch is None:
        return {"provider": provider, "on": True, "since": None, "why": None}
    return {"provider": provider, "on": switch.on, "since": switch.since.isoformat(), "why": switch.why}

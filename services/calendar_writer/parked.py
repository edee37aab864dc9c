"""Effects that wait: for a host who has to connect again, for a provider that is down, or because a crash left them behind.

Each is brought back by a word of this service to itself, so that it goes the way of every other event: with its own retries, and
with a dead letter at the end.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from libs.contracts.events import ConnectionFact, HostCalendarsChanged, Provider
from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE, Incoming, Outcome, Retry
from libs.mongo.errors import StoreUnavailable
from libs.telemetry.logs import logger
from services.calendar_writer.desk import Desk
from services.calendar_writer.domain import PARKED_THEN, SLACK, Effect
from services.calendar_writer.outgoing import reminder
from services.calendar_writer.store import Claim, Waits

MOST = 500  # effects looked after in one sweep
UNASKED = frozenset({Reason.PROVIDER_UNAVAILABLE, Reason.PROVIDER_SWITCHED_OFF})
"""Why an effect waits that may go on as soon as its provider can be asked."""
BY_ITSELF = SLACK + timedelta(seconds=30)
"""What is overdue within that comes back by itself within half a minute."""

Change = ConnectionFact | HostCalendarsChanged


def resume(batch: Sequence[Incoming[Change]], desk: Desk) -> Sequence[Outcome]:
    """A host's access is not what it was: what is remembered of it is forgotten, and what waits for the host goes on."""
    hosts = dict.fromkeys(item.data.host for item in batch)
    for host in hosts:
        desk.grants.forget(host)
    outcomes = {host: _resumed(host, desk) for host in hosts}
    return [outcomes[item.data.host] for item in batch]


def sweep(desk: Desk) -> None:
    """The timer's share: bring back what is overdue."""
    try:
        sweep_left(desk)
        for provider in desk.outages.askable():
            # Somebody has to ask whether it is there again, also while nothing new comes in for it.
            _brought_back(provider, 1, desk)
        for provider in desk.outages.over():
            provider_back(provider, desk)
            desk.outages.dealt_with(provider)
    except StoreUnavailable as error:
        logger().warning("open effects not swept", error=type(error).__name__)


def sweep_left(desk: Desk, host: str | None = None, *, early: bool = False) -> int:
    """Bring back what is overdue (with `early` also what is not yet); how many that were. Raises StoreUnavailable."""
    now = desk.clock()
    by = now + desk.rhythm.patience if early else now
    return _reminded(desk.ledger.left_behind(Claim(by, now + PARKED_THEN, MOST, host)), desk)


def provider_back(provider: Provider, desk: Desk) -> int:
    """Bring back all that waits because this provider could not be asked: without that, what has climbed the ladder of delays in
    a long outage would wait for as long again. How many that were. Raises StoreUnavailable."""
    total = 0
    while brought := _brought_back(provider, MOST, desk):
        total += brought
        if brought < MOST:
            break
    return total


def _brought_back(provider: Provider, most: int, desk: Desk) -> int:
    soon = desk.clock() + BY_ITSELF
    waits = Waits(provider, UNASKED, beyond=soon)
    return _reminded(desk.ledger.left_behind(Claim(soon + desk.rhythm.patience, soon, most, waits=waits)), desk)


def _resumed(host: str, desk: Desk) -> Outcome:
    try:
        waiting = desk.ledger.get(desk.ledger.parked(host)).values()
    except StoreUnavailable:
        return Retry(Reason.STORE_UNAVAILABLE)
    if waiting and not _reminded(waiting, desk):
        return Retry(Reason.BUS_UNAVAILABLE)
    return DONE


def _reminded(effects: Iterable[Effect], desk: Desk) -> int:
    now = desk.clock()
    reminders = [reminder(effect, now) for effect in effects]
    if not reminders or not desk.remind(reminders):
        return 0
    logger().info("effects brought back", count=len(reminders))
    return len(reminders)

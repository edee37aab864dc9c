"""What of it is wrong, in words, with what to do. Pure."""

from collections.abc import Iterator
from datetime import timedelta

from deploy.cli.status.seen import Keys, Provider, Queues, Status

LATE_OUTBOX = 60.0
LATE_HOLD = 600.0
LATE_ENTRY = 600.0
LATE_ERASURE = 3600.0
LATE_PROOF = 900.0
"""Seconds from which on it is told. A hold ends by itself after VALET_HOLD_SECONDS; the last two are objectives."""


def problems(status: Status) -> list[str]:
    """Everything that is wrong just now; empty if nothing is.

    Not wrong: hosts who have to connect again (theirs to do), and what was late in the past (the alerts' business).
    """
    found = [f"not seen: {what}" for what in status.not_seen]
    found += _services(status)
    if status.queues is not None:
        found += _queues(status.queues)
    found += _lag(status)
    found += [text for provider in status.providers for text in _provider(provider)]
    found += [text for keys in status.keys for text in _keys(keys)]
    return found


def _services(status: Status) -> Iterator[str]:
    if not status.services:
        yield "no service is named: set VALET_PROBES=auth=https://host:port,..."
    for service in status.services:
        if not service.up:
            yield f"{service.name} does not answer: {', '.join(service.lacks)}"
        elif not service.ready:
            yield f"{service.name} is {', '.join(service.lacks)}"


def _queues(queues: Queues) -> Iterator[str]:
    for queue in queues.work:
        if not queue.consumers:
            yield f"nobody consumes {queue.name}; {queue.waiting} wait"
    for service, count in queues.dead.items():
        if count:
            yield f"{count} dead letters of {service}: see `valet dead list --service {service}`"
    for service, count in queues.given_up.items():
        if count:
            yield f"{count} that the broker gave up wait until {service} takes them back"


def _lag(status: Status) -> Iterator[str]:
    lag = status.lag
    for service, seconds in lag.outboxes.items():
        if seconds > LATE_OUTBOX:
            yield f"{service} has not told an event for {words(seconds)}: is the bus well?"
    for what, late, limit in (
        ("a hold is not decided for", lag.oldest_hold, LATE_HOLD),
        ("an entry is not as it should be for", lag.oldest_entry, LATE_ENTRY),
        ("an erasure is open for", lag.oldest_erasure, LATE_ERASURE),
    ):
        if late is not None and late > limit:
            yield f"{what} {words(late)}"


def _provider(provider: Provider) -> Iterator[str]:
    if provider.on is False:
        yield f"{provider.name} is switched off ({provider.why or '-'}): `valet provider on {provider.name}` ends that"
        return
    if provider.down_for:
        yield f"{provider.name} counts as down for {', '.join(provider.down_for)}"
    if provider.oldest_proof is not None and provider.oldest_proof > LATE_PROOF:
        yield f"a grant at {provider.name} is not proved for {words(provider.oldest_proof)}"


def _keys(keys: Keys) -> Iterator[str]:
    if not keys.usable:
        yield f"keys of {keys.service} cannot be used: see `valet keys status`"


def words(seconds: float) -> str:
    """A time in words: 45 s, 12 min, 3 h, 5 d."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < timedelta(hours=2).total_seconds():
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} d"

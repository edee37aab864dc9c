"""Making the calendar so: whatever events came, in whatever order, the entry ends as the booking's details say now."""

from collections.abc import Sequence, Set
from typing import Any

from libs.contracts.events import BookingConfirmed, BookingFact, Provider, ProviderSwitched
from libs.contracts.questions import Detail
from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE, Incoming, Outcome, Retry
from libs.messaging.grants import AuthUnavailable
from libs.mongo.errors import StoreUnavailable
from services.calendar_writer.desk import Desk, DetailsUnavailable
from services.calendar_writer.parked import provider_back, resume
from services.calendar_writer.settling import settle


def write_entries(batch: Sequence[Incoming[BookingFact]], desk: Desk) -> Sequence[Outcome]:
    """Bring each booking's entry to what the booking service says now."""
    traces = {item.data.booking: item.traceparent for item in batch}
    try:
        outcomes = settle(traces, desk, {item.data.booking: said for item in batch if (said := _said(item.data))})
    except StoreUnavailable:
        return [Retry(Reason.STORE_UNAVAILABLE)] * len(batch)
    except (AuthUnavailable, DetailsUnavailable):
        return [Retry(Reason.SERVICE_UNAVAILABLE)] * len(batch)
    # Of several events about one booking, one is tried again or given up: it stands for them all.
    last = {item.data.booking: at for at, item in enumerate(batch)}
    return [outcomes[item.data.booking] if last[item.data.booking] == at else DONE for at, item in enumerate(batch)]


def resume_writes(batch: Sequence[Incoming[Any]], desk: Desk) -> Sequence[Outcome]:
    """What waited goes on: for a host whose access is not what it was, or for a provider that is switched on again."""
    switched = {item.data.provider for item in batch if isinstance(item.data, ProviderSwitched)}
    outcome = _switched(switched, desk) if switched else DONE
    resumed = iter(resume([item for item in batch if not isinstance(item.data, ProviderSwitched)], desk))
    return [outcome if isinstance(item.data, ProviderSwitched) else next(resumed) for item in batch]


def _said(fact: BookingFact) -> Detail | None:
    """What a confirmation says of its booking, as the booking service would."""
    if not isinstance(fact, BookingConfirmed) or fact.host is None or fact.start is None or fact.end is None:
        return None
    return Detail(version=fact.version, stands=True, pending=False, host=fact.host, start=fact.start, end=fact.end)


def _switched(providers: Set[Provider], desk: Desk) -> Outcome:
    """Events may come late or shuffled: how the switches stand is asked."""
    try:
        for provider in providers - desk.switches():
            provider_back(provider, desk)
    except StoreUnavailable:
        return Retry(Reason.STORE_UNAVAILABLE)
    except AuthUnavailable:
        return Retry(Reason.SERVICE_UNAVAILABLE)
    return DONE

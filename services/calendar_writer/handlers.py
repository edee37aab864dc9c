"""Making the calendar so: whatever events came, in whatever order, the entry ends as the booking's details say now."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.contracts.events import BookingFact, ConnectionFact
from libs.contracts.questions import CalendarAccess, Detail, HostAccess
from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE, Incoming, Outcome, Poison, Retry
from libs.messaging.grants import AuthUnavailable, Grants
from libs.mongo.errors import StoreUnavailable
from libs.mongo.outbox import Sends
from libs.telemetry import metrics
from libs.telemetry.logs import logger
from services.calendar_writer.domain import LEASE, Effect, Want, target, tried, want
from services.calendar_writer.outgoing import event_of
from services.calendar_writer.placing import Job, Placing, Result
from services.calendar_writer.store import Ledger


class DetailsUnavailable(Exception):
    """The booking service does not answer."""


Details = Callable[[Sequence[str]], Mapping[str, Detail | None]]
MakeEffect = Callable[[str, str, CalendarAccess, datetime], Effect]


@dataclass(frozen=True, slots=True)
class Desk:
    """What the handlers work with."""

    details: Details
    grants: Grants
    ledger: Ledger
    placing: Placing
    relay: Sends
    new_effect: MakeEffect
    clock: Callable[[], datetime]
    lease: timedelta = LEASE


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done for one booking: a job, or why not now."""

    job: Job | None = None
    outcome: Outcome = DONE


def write_entries(batch: Sequence[Incoming[BookingFact]], desk: Desk) -> Sequence[Outcome]:
    """Bring each booking's entry to what the booking service says now."""
    traces = {item.data.booking: item.traceparent for item in batch}
    try:
        outcomes = _settle(list(traces), traces, desk)
    except StoreUnavailable:
        return [Retry(Reason.STORE_UNAVAILABLE)] * len(batch)
    except (AuthUnavailable, DetailsUnavailable):
        return [Retry(Reason.SERVICE_UNAVAILABLE)] * len(batch)
    return [outcomes[item.data.booking] for item in batch]


def forget_access(batch: Sequence[Incoming[ConnectionFact]], desk: Desk) -> Sequence[Outcome]:
    """A host's connection changed: what is remembered of it is no longer good."""
    for item in batch:
        desk.grants.forget(item.data.host)
    return [DONE] * len(batch)


def _settle(bookings: Sequence[str], traces: Mapping[str, str | None], desk: Desk) -> dict[str, Outcome]:
    now = desk.clock()
    details = {id: detail for id, detail in desk.details(bookings).items() if detail}
    effects = desk.ledger.get(bookings)
    wants = {id: want(detail, effects.get(id)) for id, detail in details.items()}
    todo = {id: details[id] for id, wanted in wants.items() if wanted is not Want.NOTHING}
    access = desk.grants.of(detail.host for detail in todo.values() if detail.host) if todo else {}
    plans = {id: _plan(id, detail, wants[id], effects.get(id), access, desk) for id, detail in todo.items()}
    results = _carry_out({id: plan.job for id, plan in plans.items() if plan.job}, now, desk)
    told = [result.effect for result in results.values() if result.effect]
    _write_down(told, traces, desk)
    outcomes = {id: results[id].outcome if id in results else plan.outcome for id, plan in plans.items()}
    return {id: outcomes.get(id, DONE) for id in bookings}


def _plan(
    booking: str, detail: Detail, wanted: Want, effect: Effect | None, access: Mapping[str, HostAccess], desk: Desk
) -> Plan:
    if wanted is Want.WRITE and detail.entry is None:
        return Plan(outcome=Poison(Reason.SEAL_UNREADABLE))  # its texts do not open: an entry without them helps nobody
    host = detail.host or ""
    calendar = target(effect, access[host].calendars)
    if calendar is None or calendar.token is None:
        return _not_now(access[host])
    meant = effect or desk.new_effect(booking, host, calendar, desk.clock())
    meant = tried(meant, detail.version, desk.clock(), desk.lease)
    return Plan(Job(wanted, meant, calendar, detail))


def _not_now(access: HostAccess) -> Plan:
    """Without a token nothing is written, and nothing is lost: it is tried again until the host has connected again."""
    waiting = access.state in ("reconnect-needed", "disconnected")
    reason = Reason.RECONNECT_NEEDED if waiting else Reason.SERVICE_UNAVAILABLE
    return Plan(outcome=Retry(reason))


def _carry_out(jobs: Mapping[str, Job], now: datetime, desk: Desk) -> dict[str, Result]:
    """Store the intents, then act. What another worker has in hand is left to it."""
    elsewhere = desk.ledger.begin([job.effect for job in jobs.values()], now)
    mine = [job for id, job in jobs.items() if id not in elsewhere]
    results = {result.booking: result for result in desk.placing.run(mine)}
    return results | {id: Result(id, None, Retry(Reason.LOST_RACE)) for id in elsewhere}


def _write_down(effects: Iterable[Effect], traces: Mapping[str, str | None], desk: Desk) -> None:
    now = desk.clock()
    ended = [(effect, event_of(effect, now, traces.get(effect.booking))) for effect in effects]
    desk.ledger.end(ended)
    desk.relay.send({effect.booking: [event] for effect, event in ended})
    for effect, event in ended:
        reason = effect.reason.value if effect.reason else None
        logger().info(
            event.type, booking=effect.booking, version=effect.version, attempt=effect.attempts, reason=reason
        )


def measure_open(ledger: Ledger, now: datetime) -> None:
    """Measure how long the oldest entry has been waiting to be written or removed."""
    try:
        since = ledger.oldest_open()
    except StoreUnavailable:
        return
    metrics.EFFECT_OLDEST.set((now - since).total_seconds() if since else 0)

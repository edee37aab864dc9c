"""Bringing entries to what their bookings want: look, take the lease, look again, act, write down."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from libs.contracts.questions import Detail, HostAccess
from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE, Outcome, Poison, Retry
from libs.messaging.grants import AuthUnavailable
from libs.mongo.outbox import Pending
from libs.telemetry import logs, metrics
from libs.telemetry.logs import logger
from services.calendar_writer.desk import Desk, DetailsUnavailable
from services.calendar_writer.domain import (
    OPEN,
    Effect,
    Standing,
    Want,
    came_out,
    closed,
    given_back,
    kept_back,
    left_alone,
    never_was,
    nowhere,
    parked,
    put_off,
    tried,
    want,
    watched,
)
from services.calendar_writer.outgoing import event_of
from services.calendar_writer.places import Place, place
from services.calendar_writer.placing import Job, Result


@dataclass(frozen=True, slots=True)
class Intent:
    """What is meant for one booking: how its effect was read, how it is stored before the try, and where to act."""

    before: Effect | None
    meant: Effect
    place: Place


def settle(
    traces: Mapping[str, str | None], desk: Desk, said: Mapping[str, Detail] = MappingProxyType({})
) -> dict[str, Outcome]:
    """Make the calendar so for these bookings (with the trace that each belongs to); an outcome for each.

    `said` is what events say of bookings: of one that is new here it is enough for a start, since before anything is done the
    booking service is asked. Raises StoreUnavailable, AuthUnavailable, DetailsUnavailable.
    """
    intents, waits = _intents(list(traces), said, desk)
    elsewhere = desk.ledger.begin([(intent.meant, ()) for intent in intents.values()], desk.clock())
    mine = {id: intent for id, intent in intents.items() if id not in elsewhere}
    results = _acted(mine, desk)
    finished = [_finished(result, desk) for result in results]
    _write_down(finished, traces, desk)
    outcomes: dict[str, Outcome] = {**waits, **{id: Retry(Reason.LOST_RACE) for id in elsewhere}}
    outcomes |= {result.booking: result.outcome for result in finished}
    return {id: outcomes.get(id, DONE) for id in traces}


def _intents(
    bookings: Sequence[str], said: Mapping[str, Detail], desk: Desk
) -> tuple[dict[str, Intent], dict[str, Outcome]]:
    """What is to be done now, and what is not yet, since the provider wants to be left alone."""
    effects, now = desk.ledger.get(bookings), desk.clock()
    new = {id: detail for id, detail in said.items() if id not in effects}
    known = [id for id in bookings if id not in new]
    details = {**new, **(desk.details(known) if known else {})}
    wanted = [id for id in bookings if want(details[id], effects.get(id), now) is not Want.NOTHING]
    waits: dict[str, Outcome] = {
        id: Retry(effects[id].reason or Reason.RATE_LIMITED, left)
        for id in wanted
        if (left := left_alone(effects.get(id), now))
    }
    hosts = {id: _host(details[id], effects.get(id)) for id in wanted if id not in waits}
    access = desk.grants.of(hosts.values()) if hosts else {}
    found = {id: _intent(id, details[id], effects.get(id), access[host], desk) for id, host in hosts.items()}
    return {id: intent for id, intent in found.items() if intent is not None}, waits


def _intent(
    booking: str, detail: Detail | None, before: Effect | None, access: HostAccess, desk: Desk
) -> Intent | None:
    now = desk.clock()
    wanted = want(detail, before, now)
    where = place(before, access, writes=wanted is Want.WRITE)
    if wanted is not Want.CLOSE and _waits(before, detail, where, now):
        return None
    version = detail.version if detail else before.version if before else 1
    base = _base(booking, _host(detail, before), before, where, desk)
    return Intent(before, _as_of(tried(base, version, now, desk.rhythm.lease), detail), where)


def _waits(before: Effect | None, detail: Detail | None, where: Place, now: datetime) -> bool:
    """Whether the effect is parked already, and there is nothing new to tell of it."""
    if before is None or before.standing is not Standing.PARKED or not where.parks or where.token is not None:
        return False
    return (detail is None or detail.version == before.version) and not _given_up(before, detail, now)


def _base(booking: str, host: str, before: Effect | None, where: Place, desk: Desk) -> Effect:
    if not where.anew or where.calendar is None:
        return before or nowhere(booking, host, desk.clock())
    generation = before.generation + 1 if before and before.connection else 1
    fresh = desk.new_effect(booking, host, where.calendar, desk.clock(), generation)
    if before is None:
        return fresh
    lost = before.lost or (before.touched and before.standing is not Standing.REMOVED) or None
    since = before.since if before.standing in OPEN else fresh.since
    return replace(fresh, revision=before.revision, since=since, lost=lost)


def _acted(intents: Mapping[str, Intent], desk: Desk) -> list[Result]:
    """Decide again, now that nobody else acts, and act."""
    try:
        details = desk.details(list(intents)) if intents else {}
    except DetailsUnavailable:
        return [_untouched(intent, Retry(Reason.SERVICE_UNAVAILABLE)) for intent in intents.values()]
    decided = {id: _decided(intent, details[id], desk.clock()) for id, intent in intents.items()}
    for intent in intents.values():
        _tell_of_the_lost(intent)
    jobs = [job for job in decided.values() if isinstance(job, Job)]
    results = {result.booking: result for result in desk.placing.run(jobs)} | {
        id: result for id, result in decided.items() if isinstance(result, Result)
    }
    return [*(results | _tried_again(jobs, results, intents, desk)).values()]


def _decided(intent: Intent, detail: Detail | None, now: datetime) -> Job | Result:
    wanted = want(detail, intent.before, now)
    if wanted is Want.NOTHING:
        # Said to stand, and not decided yet: that was read where it had not come to, as from a primary that is none any more.
        behind = intent.before is None and detail is not None and detail.pending
        return _untouched(intent, Retry(Reason.SERVICE_UNAVAILABLE) if behind else DONE)
    effect = _as_of(intent.meant, detail)
    if wanted is Want.CLOSE:
        return Result(effect.booking, closed(intent.before, effect), DONE)
    if intent.place.calendar is not None and intent.place.token is not None:
        settling = not intent.place.anew and effect.settling(now)
        return Job(wanted, effect, intent.place.calendar, detail, settling)
    if not intent.place.parks:
        return _not_yet(intent, effect, now)
    if _given_up(effect, detail, now):
        reason = Reason.RECONNECT_NEEDED
        return Result(effect.booking, came_out(effect, Standing.FAILED, reason=reason), Poison(reason))
    return Result(effect.booking, parked(effect, now), DONE)


def _not_yet(intent: Intent, effect: Effect, now: datetime) -> Result:
    """There is no token now, for no fault of the host's."""
    if intent.place.calendar is not None and intent.place.calendar.switched_off:
        return Result(effect.booking, kept_back(effect, now), Retry(Reason.PROVIDER_SWITCHED_OFF))
    reason = Reason.SERVICE_UNAVAILABLE
    return Result(effect.booking, came_out(effect, Standing.INTENDED, reason=reason), Retry(reason))


def _untouched(intent: Intent, outcome: Outcome) -> Result:
    """Nothing was done: the effect is as it was; one that was new ends, or stays to be tried."""
    new_and_over = intent.before is None and outcome == DONE
    effect = never_was(intent.meant) if new_and_over else given_back(intent.before, intent.meant)
    return Result(effect.booking, effect, outcome, told=False)


def _tried_again(
    jobs: Sequence[Job], results: Mapping[str, Result], intents: Mapping[str, Intent], desk: Desk
) -> dict[str, Result]:
    """Once more, at once, with a new token, what was refused for an old one; or parked, if there is none to be had."""
    stale = [job for job in jobs if results[job.effect.booking].stale]
    try:
        access = desk.grants.of(job.effect.host for job in stale) if stale else {}
    except AuthUnavailable:
        return {}
    places = {job.effect.booking: place(job.effect, access[job.effect.host], writes=False) for job in stale}
    decided = [
        _decided(replace(intents[booking], place=where), job.detail, desk.clock())
        for job, (booking, where) in zip(stale, places.items(), strict=True)
    ]
    again = desk.placing.run([job for job in decided if isinstance(job, Job)])
    return {result.booking: result for result in [*again, *(r for r in decided if isinstance(r, Result))]}


def _finished(result: Result, desk: Desk) -> Result:
    """Given up if it has lasted too long; otherwise with the time of the next try, or of the first look."""
    now, rhythm = desk.clock(), desk.rhythm
    effect = replace(result.effect, acted_at=now) if result.acted else result.effect
    if isinstance(result.outcome, Retry) and result.told:
        if now - effect.since < rhythm.patience:
            return replace(result, effect=put_off(effect, result.outcome.reason, now, result.outcome.after))
        spent = Reason.ATTEMPTS_EXHAUSTED
        return replace(result, effect=came_out(effect, Standing.FAILED, reason=spent), outcome=Poison(spent))
    return replace(result, effect=watched(effect, now, rhythm))


def _write_down(results: Iterable[Result], traces: Mapping[str, str | None], desk: Desk) -> None:
    now = desk.clock()
    ended: list[tuple[Effect, list[Pending]]] = []
    for result in results:
        event = event_of(result.effect, now, traces.get(result.booking)) if result.told else None
        ended.append((result.effect, [event] if event else []))
    desk.ledger.end(ended)
    desk.relay.send({effect.booking: events for effect, events in ended if events})
    for effect, events in ended:
        _log(effect, events)


def _log(effect: Effect, events: Sequence[Pending]) -> None:
    reason = effect.reason.value if effect.reason else None
    what = events[0].type if events else f"effect {effect.standing.value}"
    logs.step(what, effect.booking, version=effect.version, attempt=effect.attempts, reason=reason)


def _tell_of_the_lost(intent: Intent) -> None:
    before = intent.before
    if before and intent.place.anew and before.touched and before.provider:
        metrics.EFFECTS_BEYOND_REACH.labels(before.provider).inc()
        logger().warning(
            "entry beyond reach",
            booking=before.booking,
            host=before.host,
            connection=before.connection,
            provider=before.provider,
        )


def _as_of(effect: Effect, detail: Detail | None) -> Effect:
    if detail is None:
        return effect
    return replace(effect, version=detail.version, start=detail.start or effect.start, end=detail.end or effect.end)


def _given_up(effect: Effect, detail: Detail | None, now: datetime) -> bool:
    """A host who comes back when the booking's time is over has no use for it; what of an erased person stands, still goes."""
    over = effect.end is not None and effect.end <= now
    return over and not (detail is not None and detail.erased)


def _host(detail: Detail | None, effect: Effect | None) -> str:
    return (detail.host if detail else None) or (effect.host if effect else "")

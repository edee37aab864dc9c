"""What stands in a calendar for a booking, and what should. Pure: instants are aware and in UTC."""

import zlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from libs.contracts.events import Provider, TimeSpan
from libs.contracts.questions import Detail
from libs.contracts.reasons import Reason

LEASE = timedelta(seconds=60)
"""How long one worker has an entry to itself; longer than the exchanges of a try may take together."""
SLACK = timedelta(minutes=2)
"""So much later than its message should have come again, an open effect counts as left behind."""
PARKED_FIRST, PARKED_THEN = timedelta(seconds=30), timedelta(minutes=5)
"""When a parked effect is looked after though nobody said that its host connected: once soon, then now and then."""
LADDER = (1, 5, 30, 120, 600, 3600)
"""Seconds that a message is put off by, attempt by attempt (`libs.messaging.topology.LADDER`; a test keeps them equal)."""


SETTLING = timedelta(seconds=10)
"""So long after a write, a read may not have heard of it yet: providers answer from replicas."""


class Standing(StrEnum):
    """Where an effect stands. `intended` and `parked` cover all that is not known to have come to its end."""

    INTENDED = "intended"
    PARKED = "parked"
    WRITTEN = "written"
    REMOVED = "removed"
    FAILED = "failed"


OPEN = (Standing.INTENDED, Standing.PARKED)


class Want(StrEnum):
    """What the booking wants of the calendar. `close`: what is open ends, and nothing is to be tried (any more)."""

    NOTHING = "nothing"
    WRITE = "write"
    REMOVE = "remove"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Effect:
    """One booking's entry in one calendar. Its ids are made and stored before the first try, so that every try is the same one.

    Without a `connection` it has no place yet: the host has no calendar to derive ids from. `since` is when it was last
    found to be other than the booking wants it; `due` when an open one counts as left behind. `revision` grows with every
    change: who changes it must have read the last one. `acted_at` is when an entry was last made or changed, or may have been;
    `not_before` until when the provider wants to be left alone, where that is longer than a message is put off. `start` and
    `end` are the booking's; `moved` is where the host moved the entry to, `overlapped` what else the host has at its time,
    `missing_since` since when looks do not find it. `lost`: an entry of an earlier generation may stand where nobody reaches it.
    """

    booking: str
    host: str
    connection: str
    provider: Provider | None
    calendar: str = field(repr=False)
    event_id: str
    transaction_id: str
    mark: str
    since: datetime
    generation: int = 1
    revision: int = 0
    standing: Standing = Standing.INTENDED
    version: int = 0
    attempts: int = 0
    missing_since: datetime | None = None
    start: datetime | None = None
    end: datetime | None = None
    remote_id: str | None = None
    busy_until: datetime | None = None
    due: datetime | None = None
    look_at: datetime | None = None
    acted_at: datetime | None = None
    not_before: datetime | None = None
    moved: TimeSpan | None = None
    overlapped: TimeSpan | None = None
    lost: bool | None = None
    reason: Reason | None = None

    @property
    def touched(self) -> bool:
        """Whether an entry may stand, or may have stood, where this effect has its place."""
        return self.connection != "" and (self.attempts > 0 or self.remote_id is not None)

    def settling(self, now: datetime) -> bool:
        """Whether it may stand although it is not found."""
        return self.acted_at is not None and now < self.acted_at + SETTLING


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How long, how often and how far ahead (settings WRITE_PATIENCE_HOURS, RECONCILE_SECONDS, RECONCILE_DAYS)."""

    patience: timedelta = timedelta(hours=72)
    every: timedelta = timedelta(seconds=300)
    ahead: timedelta = timedelta(days=30)
    lease: timedelta = LEASE


def nowhere(booking: str, host: str, since: datetime) -> Effect:
    """An effect without a place."""
    return Effect(booking, host, "", None, "", "", "", "", since)


def want(detail: Detail | None, effect: Effect | None, now: datetime) -> Want:
    """What is to be done, if anything. Order and number of events do not matter: only how things stand now.

    No `detail` means that the booking service does not know the booking (any more): nothing of it may stand. Unless its time is
    over: such a booking is forgotten for its age (RETENTION_DAYS), and what stands in the past is the host's.
    """
    if detail is not None and detail.pending:
        return Want.NOTHING
    if detail is not None and detail.stands:
        # Written, or removed by the host: what was removed is not written again. What failed is, whenever word comes.
        ended = effect is not None and effect.standing in (Standing.WRITTEN, Standing.REMOVED)
        return Want.NOTHING if ended and effect and effect.version == detail.version else Want.WRITE
    if effect is None or effect.standing is Standing.REMOVED:
        return Want.NOTHING
    if not effect.touched:
        return Want.CLOSE
    if detail is None and effect.end is not None and effect.end <= now:
        return Want.CLOSE if effect.standing in OPEN else Want.NOTHING
    return Want.REMOVE


def tried(effect: Effect, version: int, now: datetime, lease: timedelta = LEASE) -> Effect:
    """The effect as it is stored before a try. Tries are counted on while it is not known how the last one ended."""
    new = effect.version != version and effect.standing in (Standing.WRITTEN, Standing.REMOVED)
    return replace(
        effect,
        since=effect.since if effect.standing in OPEN else now,
        standing=Standing.INTENDED,
        revision=effect.revision + 1,
        version=version,
        attempts=1 if new else effect.attempts + 1,
        busy_until=now + lease,
        due=now + lease + SLACK,
        look_at=None,
        not_before=None,
        reason=None,
    )


def came_out(
    effect: Effect, standing: Standing, *, remote_id: str | None = None, reason: Reason | None = None
) -> Effect:
    """The effect after a try."""
    still = standing in OPEN
    return replace(
        effect,
        standing=standing,
        remote_id=remote_id or effect.remote_id,
        reason=reason,
        busy_until=None,
        due=effect.due if still else None,
        missing_since=None,
        moved=effect.moved if still else None,
        overlapped=effect.overlapped if still else None,
    )


def put_off(effect: Effect, reason: Reason, now: datetime, after: float | None = None) -> Effect:
    """The effect after a try that is to be made again. Its message comes again; `due` is when that is overdue."""
    # While a provider is switched off only the message counts on: it may be as high on the ladder as can be.
    rungs = len(LADDER) if reason is Reason.PROVIDER_SWITCHED_OFF else effect.attempts
    seconds = max(LADDER[min(rungs, len(LADDER)) - 1], after or 0)
    again = now + timedelta(seconds=seconds)
    waits = again if seconds > LADDER[-1] else None
    return replace(came_out(effect, Standing.INTENDED, reason=reason), due=again + SLACK, not_before=waits)


def left_alone(effect: Effect | None, now: datetime) -> float:
    """Seconds for which the provider still wants to be left alone."""
    until = effect.not_before if effect and effect.standing is Standing.INTENDED else None
    return max(0.0, (until - now).total_seconds()) if until else 0.0


def kept_back(effect: Effect, now: datetime) -> Effect:
    """The effect while an operator keeps its provider switched off. Nothing was tried: neither the try counts nor the time."""
    waiting = came_out(effect, Standing.INTENDED, reason=Reason.PROVIDER_SWITCHED_OFF)
    return replace(waiting, attempts=effect.attempts - 1, since=now)


def parked(effect: Effect, now: datetime) -> Effect:
    """The effect while its host has to connect again. Nothing was tried, so the try does not count."""
    waiting = came_out(effect, Standing.PARKED, reason=Reason.RECONNECT_NEEDED)
    return replace(waiting, attempts=effect.attempts - 1, due=now + PARKED_FIRST)


def given_back(before: Effect | None, meant: Effect) -> Effect:
    """The effect as it was before a try that was not made after all. One that was new stays as one never tried."""
    if before is None:
        return replace(meant, attempts=0, busy_until=None)
    return replace(before, revision=meant.revision, busy_until=None)


def never_was(meant: Effect) -> Effect:
    """The end of an effect that nothing was ever tried for."""
    return replace(came_out(meant, Standing.REMOVED), attempts=0)


def closed(before: Effect | None, meant: Effect) -> Effect:
    """The end of an effect for which nothing is to be tried any more."""
    if before is not None and before.touched:  # whether something stands was never known, and now it is too late to ask
        return came_out(meant, Standing.FAILED, reason=Reason.ATTEMPTS_EXHAUSTED)
    return never_was(meant)


def watched(effect: Effect, now: datetime, rhythm: Rhythm) -> Effect:
    """A written effect with the time of its first look: spread out, and not before its booking comes near."""
    if effect.standing is not Standing.WRITTEN or effect.start is None or effect.end is None or effect.end <= now:
        return effect
    spread = zlib.crc32(effect.booking.encode()) / 2**32
    return replace(effect, look_at=max(now + rhythm.every * (0.5 + spread / 2), effect.start - rhythm.ahead))

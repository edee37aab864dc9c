"""Comparing the store with the calendars: what the host did to our entries, and what the host put over them.

A host who deleted an entry has cancelled the booking; one who moved it is respected, and told of; nothing is moved back. A later
change of the booking wins again, for that is what its people agreed to last. Duplicates of ours are removed. Nothing is done on
the word of one look: a missing entry is looked for twice, since a cancelled booking cannot be brought back.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from libs.contracts.events import TimeSpan
from libs.contracts.questions import Detail, HostAccess
from libs.contracts.reasons import Reason
from libs.messaging.grants import AuthUnavailable
from libs.mongo.errors import StoreUnavailable
from libs.mongo.outbox import Pending
from libs.telemetry import metrics
from libs.telemetry.logs import logger
from services.calendar_writer.conflicts import as_span
from services.calendar_writer.desk import Desk, DetailsUnavailable
from services.calendar_writer.domain import SETTLING, Effect, Standing, Want, came_out, want
from services.calendar_writer.looking import Look, Looker, Spot, believed
from services.calendar_writer.outgoing import conflict_of, event_of, reminder
from services.calendar_writer.parked import sweep_left
from services.calendar_writer.store import Change, Claim
from services.calendar_writer.surroundings import overlaps, spot_of

EACH_SECOND = 20
"""Entries in one round of the timer, with at most as many questions for busy times: 2,400 calls a minute. Google allows a project
10,000 a minute by default and 600 for one user (https://developers.google.com/workspace/calendar/api/guides/quota), Graph an app
10,000 in ten minutes for one mailbox (https://learn.microsoft.com/graph/throttling-limits); holds and writes come first."""
WHEN_HURRIED = 4
"""Entries in one round while writes wait for each other: looking never ends, but it takes little from them."""
MOST = 100
"""Entries in one round for an operator."""
AGAIN = SETTLING
"""So long after an entry was missing first, it is looked for again; whoever looks earlier learns nothing by it."""
EVER = timedelta(days=3660)
"""Further ahead than any booking."""
FINDINGS = ("looked", "written", "removed", "duplicates", "moved", "overlaps", "unreadable")


def look_around(desk: Desk) -> None:
    """A round of the timer: what is due, oldest first. Several replicas are given different entries."""
    try:
        most = WHEN_HURRIED if desk.hurried() else EACH_SECOND
        _round(Claim(desk.clock(), desk.clock() + desk.rhythm.every, most), desk)
    except (StoreUnavailable, AuthUnavailable, DetailsUnavailable) as error:
        logger().warning("not reconciled", error=type(error).__name__)


def reconcile(desk: Desk, host: str | None = None) -> dict[str, int]:
    """Look now, at one host's entries or at all (at most 100, however far ahead), and try again at once what is open. Counts
    of what was found.

    Raises StoreUnavailable, AuthUnavailable, DetailsUnavailable.
    """
    now, rhythm = desk.clock(), desk.rhythm
    written = sweep_left(desk, host, early=True)
    found = _round(Claim(now + EVER, now + rhythm.every, MOST, host, rhythm.ahead), desk)
    found["written"] += written
    return {name: found[name] for name in FINDINGS}


@dataclass(frozen=True, slots=True)
class Sorted:
    """The entries of a round: those to look at, those that are to be changed first, and how many cannot be looked at now."""

    spots: Sequence[Spot]
    behind: Sequence[Effect]
    unreadable: int


def _round(claim: Claim, desk: Desk) -> Counter[str]:
    now = desk.clock()
    effects = desk.ledger.to_look_at(claim, now)
    if not effects:
        return Counter()
    details = desk.details([effect.booking for effect in effects])
    access = desk.grants.of(effect.host for effect in effects)
    todo = _sorted(effects, details, access, now)
    looker = Looker(desk)
    looks = believed(looker.at(todo.spots))
    around = overlaps([look for look in looks if look.sighting], access, looker, desk)
    found = _written_down([(look, around) for look in looks if look.read], details, desk)
    reminded = len(todo.behind) if desk.remind([reminder(effect, now) for effect in todo.behind]) else 0
    unread = todo.unreadable + sum(not look.read for look in looks)
    duplicates = sum(look.discarded for look in looks)
    found.update(looked=len(looks), written=reminded, unreadable=unread, duplicates=duplicates)
    for finding, count in found.items():
        metrics.RECONCILED.labels(finding).inc(count)
    return found


def _sorted(
    effects: Sequence[Effect],
    details: Mapping[str, Detail | None],
    access: Mapping[str, HostAccess],
    now: datetime,
) -> Sorted:
    # A booking that is not known may be erased, or the booking service be restored from an older copy: a word about it
    # is needed before its entry is removed.
    known = [(effect, detail) for effect in effects if (detail := details[effect.booking]) is not None]
    behind = [effect for effect, detail in known if want(detail, effect, now) is not Want.NOTHING]
    left = [effect for effect, detail in known if detail.stands and want(detail, effect, now) is Want.NOTHING]
    spots = [spot for effect in left if (spot := spot_of(effect, access[effect.host]))]
    return Sorted(spots, behind, len(effects) - len(behind) - len(spots))


def _written_down(
    seen: Sequence[tuple[Look, Mapping[str, TimeSpan | None]]], details: Mapping[str, Detail | None], desk: Desk
) -> Counter[str]:
    """Store what is new, with the events that tell of it, unless an effect was changed meanwhile: then it is no longer so."""
    now = desk.clock()
    changes = [change for look, around in seen if (change := _change(look, around, details, desk))]
    outdated = desk.ledger.begin(changes, now)
    stored = [(effect, events) for effect, events in changes if effect.booking not in outdated]
    desk.relay.send({effect.booking: events for effect, events in stored if events})
    found: Counter[str] = Counter()
    for effect, events in stored:
        found["removed"] += effect.standing is Standing.REMOVED
        for event in events:
            logger().info(event.type, booking=effect.booking, version=effect.version, event_id=event.id)
    found["moved"] = sum(look.spot.effect.booking not in outdated and _moved_by_host(look, now) for look, _ in seen)
    found["overlaps"] = sum(around.get(look.spot.effect.booking) is not None for look, around in seen)
    return found


def _change(
    look: Look, around: Mapping[str, TimeSpan | None], details: Mapping[str, Detail | None], desk: Desk
) -> Change | None:
    before, now = look.spot.effect, desk.clock()
    if look.sighting is None:
        return _gone(before, now)
    if before.settling(now):  # it may have been seen as it was before
        return None
    moved, overlapped = _moved(look), around.get(before.booking, before.overlapped)
    if (moved, overlapped, None) == (before.moved, before.overlapped, before.missing_since):
        return None
    after = replace(before, revision=before.revision + 1, missing_since=None, moved=moved, overlapped=overlapped)
    return after, _conflicts(before, after, details[before.booking], now)


def _gone(before: Effect, now: datetime) -> Change:
    after = replace(before, revision=before.revision + 1)
    since = before.missing_since or now
    if now < since + AGAIN:
        return replace(after, missing_since=since, look_at=since + AGAIN), ()
    removed = replace(came_out(after, Standing.REMOVED, reason=Reason.REMOVED_BY_HOST), look_at=None)
    event = event_of(removed, now, None)
    return removed, [event] if event else []


def _conflicts(before: Effect, after: Effect, detail: Detail | None, now: datetime) -> list[Pending]:
    new = [
        (Reason.MOVED_BY_HOST, after.moved if after.moved != before.moved else None),
        (Reason.OVERLAPPED_BY_HOST, after.overlapped if after.overlapped != before.overlapped else None),
    ]
    return [conflict_of(after, detail, reason, span, now) for reason, span in new if span and detail]


def _moved_by_host(look: Look, now: datetime) -> bool:
    return _moved(look) is not None and not look.spot.effect.settling(now)


def _moved(look: Look) -> TimeSpan | None:
    return as_span(look.stands) if look.stands != look.spot.booked else None

"""What bookings are to claim, by what their hosts want: one read for a whole batch, two where a host limits its days."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from libs.contracts.reasons import Reason
from services.booking.claims import Claimant, Day, Span, Terms, cells, day_of, kept_place, places
from services.booking.desk import Desk


@dataclass(frozen=True, slots=True)
class Want:
    """A time that a booking wants. One that moves has a time already (`has`), and `claims`."""

    booking: str
    span: Span
    has: Span | None = None
    claims: tuple[str, ...] = ()


Claims = tuple[str, ...] | Reason


def claims_for(wants: Sequence[Want], desk: Desk) -> list[Claims]:
    """What each is to claim, or why it cannot be had. Whether the time is free only the store can say. Raises StoreUnavailable."""
    terms = desk.hosts.of(want.span.host for want in wants) if wants else {}
    days = [_limited_day(want, terms.get(want.span.host)) for want in wants]
    spans = [day.span for day in dict.fromkeys(days) if day]
    claimants = desk.store.standing(spans, desk.rules.grid) if spans else []
    asked: Counter[Day] = Counter()
    found = []
    for want, day in zip(wants, days, strict=True):
        place = _place(want, day, terms, claimants, asked)
        time = cells(want.span, desk.rules.grid, terms.get(want.span.host))
        found.append(place if isinstance(place, Reason) else time + place)
    return found


def _limited_day(want: Want, terms: Terms | None) -> Day | None:
    """The day on which this time counts, if the host limits its days."""
    return day_of(want.span, terms) if terms and terms.daily_limit else None


def _place(
    want: Want, day: Day | None, terms: Mapping[str, Terms], claimants: Sequence[Claimant], asked: Counter[Day]
) -> Claims:
    """A place of the day. Those who ask together ask for different ones; who has one on that day keeps it."""
    if day is None:
        return ()
    if want.has is not None and day.has(want.has.start):
        return kept_place(want.claims, day)
    others = [claimant for claimant in claimants if claimant.id != want.booking]
    free = places(day, terms[day.host].daily_limit or 0, others)
    if not free:
        return Reason.DAILY_LIMIT_REACHED
    asked[day] += 1
    return (day.claim(free[(asked[day] - 1) % len(free)]),)

"""Whatever happens to bookings, in whatever order: what stands is claimed, what is over claims nothing, and no two overlap."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.reasons import Reason
from libs.testing.clock import START
from libs.testing.events import HOST, HOUR, SOON
from services.booking import life, moves
from services.booking.claims import Span, Terms, cells
from services.booking.domain import Asked, Booking, Identity, State, Turn
from services.booking.moves import Wish
from services.booking.outgoing import answer_to, events_of, outcome_of
from tests.unit.booking.doubles import RULES, overlapping

TERMS = Terms(HOST, 1, before=timedelta(minutes=5), after=timedelta(minutes=10))
ENTRY = (Turn.HELD, Turn.CONFIRMED, Turn.RESCHEDULED, Turn.REJECTED, Turn.EXPIRED, Turn.CANCELLED)


@dataclass(frozen=True)
class Act:
    """Something that happens: to which booking, and where to, in quarters of an hour after SOON."""

    what: str
    booking: int
    where: int


ACTS = st.builds(
    Act,
    st.sampled_from(["approve", "approve", "refuse", "cancel", "move", "move", "expire", "remove", "late"]),
    st.integers(0, 3),
    st.integers(0, 16),
)


def span(where: int) -> Span:
    start = SOON + where * timedelta(minutes=15)
    return Span(HOST, start, start + HOUR)


def wish(booking: Booking, act: Act, number: int) -> Wish:
    to, asked = span(act.where), Asked.RESCHEDULE if act.what == "move" else Asked.CANCELLATION
    key, identity = f"bk_{number}", Identity("urn:example:shop", f"x-{number}", "digest")
    return Wish(key, identity, asked, booking.id, to.start, to.end)


def asked_for(booking: Booking, act: Act, number: int, now: datetime) -> Booking | None:
    """What a request makes of a booking, if it may."""
    asked = wish(booking, act, number)
    if moves.fault(asked, moves.own(asked, booking), RULES, now) is not None:
        return None
    if act.what == "cancel":
        return moves.cancelled(booking, asked, now)
    return moves.moving(booking, asked, cells(span(act.where), RULES.grid, TERMS), RULES, now)


def after(booking: Booking, act: Act, number: int, now: datetime) -> Booking | None:
    """What becomes of a booking, if anything does."""
    happens: dict[str, Callable[[], Booking | None]] = {
        "approve": lambda: life.approve(booking, booking.version, now),
        "late": lambda: life.approve(booking, booking.version - 1, now),
        "refuse": lambda: life.refuse(booking, booking.version, Reason.HOST_BUSY, now),
        "expire": lambda: life.expire(booking, now),
        "remove": lambda: life.cancel(booking, Reason.REMOVED_BY_HOST, now),
    }
    return happens.get(act.what, lambda: asked_for(booking, act, number, now))()


def lived(firsts: list[int], acts: list[Act]) -> list[list[Booking]]:
    """Every version of some bookings, as a store would let them come about: what would collide does not."""
    lives: list[list[Booking]] = []
    for number, where in enumerate(firsts):
        identity = Identity("urn:example:shop", f"r-{number}", "digest")
        booking = life.held(f"bk_r{number}", identity, span(where), RULES, START)
        _let(lives, None, replace(booking, claims=cells(span(where), RULES.grid, TERMS)))
    for number, act in enumerate(acts):
        one = lives[act.booking % len(lives)]
        now = START + number * timedelta(seconds=50)
        if (new := after(one[-1], act, number, now)) is not None:
            _let(lives, one, new)
    return lives


def _let(lives: list[list[Booking]], one: list[Booking] | None, new: Booking) -> None:
    """What the unique index does."""
    taken = {claim for other in lives if other is not one for claim in other[-1].claims}
    if not taken.intersection(new.claims):
        if one is None:
            lives.append([new])
        else:
            one.append(new)


LIVES = st.builds(lived, st.lists(st.integers(0, 16), min_size=1, max_size=4), st.lists(ACTS, max_size=30))


@settings(max_examples=80, deadline=None)
@given(LIVES)
def test_what_stands_is_claimed_with_its_buffers_and_what_is_over_claims_nothing(lives: list[list[Booking]]) -> None:
    for booking in (booking for one in lives for booking in one):
        assert booking.span is not None
        wanted = set(cells(booking.span, RULES.grid, TERMS))
        if booking.move is not None:
            wanted |= set(cells(Span(HOST, booking.move.start, booking.move.end), RULES.grid, TERMS))
        assert set(booking.claims) == (set() if booking.over else wanted), "no more and no less"
        assert len(booking.claims) == len(set(booking.claims))


@settings(max_examples=80, deadline=None)
@given(LIVES)
def test_versions_grow_by_one_and_what_is_over_stays_over(lives: list[list[Booking]]) -> None:
    for one in lives:
        assert [booking.version for booking in one] == list(range(1, len(one) + 1))
        for before, booking in pairwise(one):
            assert not before.over
            assert booking.history[:-1] == before.history
            assert booking.request == before.request
        assert [step.version for step in one[-1].history] == list(range(1, len(one) + 1))


@settings(max_examples=80, deadline=None)
@given(LIVES)
def test_no_two_bookings_have_or_want_one_time(lives: list[list[Booking]]) -> None:
    standing = [one[-1] for one in lives if not one[-1].over]
    times = [[_wide(each.start, each.end) for each in (b.span, b.move) if each] for b in standing]

    for n, mine in enumerate(times):
        for others in times[n + 1 :]:
            assert not any(overlapping([one, other]) for one in mine for other in others)


def _wide(start: datetime, end: datetime) -> Span:
    return Span(HOST, start - TERMS.before, end + TERMS.after)


@settings(max_examples=80, deadline=None)
@given(LIVES)
def test_a_deadline_stands_exactly_where_something_is_undecided(lives: list[list[Booking]]) -> None:
    for booking in (booking for one in lives for booking in one):
        undecided = booking.state is State.HELD or booking.move is not None
        assert (booking.hold_until is not None) == undecided
        pending = [change for change in booking.changes if change.ended is None]
        assert len(pending) == (booking.move is not None)
        assert booking.move is None or booking.state is State.CONFIRMED
        assert booking.entry.state in ENTRY


@settings(max_examples=60, deadline=None)
@given(LIVES)
def test_every_version_is_told_and_can_be_told_again_later_to_the_byte(lives: list[list[Booking]]) -> None:
    for one in lives:
        told = {event.id: event for booking in one for event in events_of(booking)}
        assert all(events_of(booking) for booking in one)
        assert len(told) == sum(len(events_of(booking)) for booking in one), "no two events share an id"
        last = one[-1]
        again = [event for change in last.changes for event in answer_to(last, change)] + list(outcome_of(last))
        assert all(told[event.id] == event for event in again)
        answered = sum(change.ended is not None for change in last.changes)
        assert sum(len(answer_to(last, change)) for change in last.changes) == answered

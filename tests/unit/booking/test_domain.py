"""The booking service's rules, as tables and properties."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.reasons import Reason
from libs.testing.clock import START
from libs.testing.events import HOST, SOON
from services.booking import domain, life
from services.booking.claims import Span, cells
from services.booking.domain import Booking, Identity, Rules, State, Turn
from tests.unit.booking.doubles import RULES, overlapping

IDENTITY = Identity("urn:example:shop", "r-1", "digest")
LATER = START + timedelta(seconds=5)
GRIDS = st.sampled_from([1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 60])


def span(start: datetime = SOON, minutes: float = 60, host: str = HOST) -> Span:
    return Span(host, start, start + timedelta(minutes=minutes))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[timedelta, Span, Span]:
    """A grid, and two spans on it that are often near each other."""
    minutes = draw(GRIDS)
    grid = timedelta(minutes=minutes)
    base = draw(st.integers(0, 4_000_000_000 // (minutes * 60)))

    def one() -> Span:
        first = base + draw(st.integers(-12, 12))
        start = datetime.fromtimestamp(max(0, first) * minutes * 60, UTC)
        return Span(draw(st.sampled_from(["dr-a", "dr-b"])), start, start + grid * draw(st.integers(1, 12)))

    return grid, one(), one()


@settings(deadline=None)
@given(pairs())
def test_two_intervals_share_a_cell_exactly_if_they_overlap(drawn: tuple[timedelta, Span, Span]) -> None:
    grid, one, other = drawn

    overlap = one.host == other.host and one.start < other.end and other.start < one.end
    shared = set(cells(one, grid)) & set(cells(other, grid))
    assert bool(shared) == overlap
    assert overlapping([one, other]) == overlap


@settings(deadline=None)
@given(pairs())
def test_an_interval_claims_each_of_its_cells_once(drawn: tuple[timedelta, Span, Span]) -> None:
    grid, one, _ = drawn

    claimed = cells(one, grid)
    assert len(claimed) == len(set(claimed)) == (one.end - one.start) / grid


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (span(), None),
        (span(minutes=0), Reason.END_BEFORE_START),
        (span(minutes=-5), Reason.END_BEFORE_START),
        (span(minutes=62), Reason.OFF_GRID),
        (span(SOON + timedelta(minutes=1), 59), Reason.OFF_GRID),
        (span(SOON + timedelta(microseconds=1)), Reason.OFF_GRID),
        (span(SOON + timedelta(milliseconds=1)), Reason.OFF_GRID),
        (span(START - timedelta(minutes=5)), Reason.IN_THE_PAST),
        (span(START), None),
        (span(minutes=480), None),
        (span(minutes=485), Reason.TOO_LONG),
        (span(START + timedelta(days=365)), None),
        (span(START + timedelta(days=365, minutes=5)), Reason.TOO_FAR_AHEAD),
        (span(datetime(9999, 12, 31, 20, tzinfo=UTC)), Reason.TOO_FAR_AHEAD),
        (span(datetime(1000, 1, 1, tzinfo=UTC)), Reason.IN_THE_PAST),
    ],
)
def test_what_cannot_be_booked_by_anyone(asked: Span, reason: Reason | None) -> None:
    assert domain.fault(asked, RULES, START) is reason


@settings(deadline=None)
@given(pairs())
def test_what_has_no_fault_claims_something(drawn: tuple[timedelta, Span, Span]) -> None:
    grid, one, _ = drawn
    rules = Rules(grid, timedelta(days=1), timedelta(days=365), timedelta(minutes=2))

    assert domain.fault(one, rules, one.start) is None
    assert cells(one, grid)


def held() -> Booking:
    booking = life.held("bk_one", IDENTITY, span(), RULES, START)
    return replace(booking, person="person-digest", sealed=b"sealed", traceparent="00-trace")


def confirmed() -> Booking:
    booking = life.approve(held(), 1, LATER)
    assert booking is not None
    return booking


def rejected() -> Booking:
    return life.rejected("bk_one", IDENTITY, span(), Reason.OFF_GRID, START)


def cancelled() -> Booking:
    booking = life.cancel(confirmed(), Reason.REMOVED_BY_HOST, LATER)
    assert booking is not None
    return booking


def test_a_new_booking_claims_its_time_and_waits() -> None:
    booking = held()

    assert (booking.state, booking.version, booking.decided, booking.over) == (State.HELD, 1, False, False)
    assert booking.hold_until == START + RULES.hold
    assert booking.claims == cells(span(), RULES.grid)
    assert booking.changed == START


def test_a_confirmed_booking_keeps_its_time_and_its_invitee() -> None:
    booking = confirmed()

    assert (booking.state, booking.version, booking.decided, booking.over) == (State.CONFIRMED, 2, True, False)
    assert (booking.claims, booking.sealed, booking.hold_until) == (held().claims, b"sealed", None)
    assert [(s.state, s.version, s.at) for s in booking.history] == [
        (Turn.HELD, 1, START),
        (Turn.CONFIRMED, 2, LATER),
    ]


def test_a_refused_booking_gives_its_time_back_and_forgets_its_invitee() -> None:
    booking = life.refuse(held(), 1, Reason.HOST_BUSY, LATER)

    assert booking is not None
    assert (booking.state, booking.reason, booking.version, booking.over) == (State.REJECTED, Reason.HOST_BUSY, 2, True)
    assert (booking.claims, booking.sealed, booking.person, booking.hold_until) == ((), None, None, None)


def test_a_cancelled_booking_gives_its_time_back() -> None:
    booking = cancelled()

    assert (booking.state, booking.version, booking.over, booking.claims) == (State.CANCELLED, 3, True, ())
    assert booking.reason is Reason.REMOVED_BY_HOST


def test_a_request_refused_at_once_keeps_nothing_of_the_invitee() -> None:
    booking = rejected()

    assert (booking.state, booking.version, booking.over) == (State.REJECTED, 1, True)
    assert (booking.claims, booking.sealed, booking.person, booking.hold_until) == ((), None, None, None)


@pytest.mark.parametrize("booking", [confirmed(), rejected(), cancelled()], ids=lambda b: b.state)
def test_only_a_held_booking_is_decided(booking: Booking) -> None:
    assert life.approve(booking, booking.version, LATER) is None
    assert life.refuse(booking, booking.version, Reason.HOST_BUSY, LATER) is None
    assert life.expire(booking, LATER + timedelta(days=1)) is None


@pytest.mark.parametrize("version", [0, 2, 7])
def test_word_of_another_version_decides_nothing(version: int) -> None:
    assert life.approve(held(), version, LATER) is None
    assert life.refuse(held(), version, Reason.HOST_BUSY, LATER) is None


@pytest.mark.parametrize("booking", [held(), rejected(), cancelled()], ids=lambda b: b.state)
def test_only_a_confirmed_booking_is_cancelled(booking: Booking) -> None:
    assert life.cancel(booking, Reason.REMOVED_BY_HOST, LATER) is None


def test_a_hold_runs_out_at_its_time_and_not_before() -> None:
    end = START + RULES.hold
    expired = life.expire(held(), end)

    assert life.expire(held(), end - timedelta(milliseconds=1)) is None
    assert expired is not None
    assert (expired.state, expired.reason) == (State.EXPIRED, Reason.HOLD_EXPIRED)
    assert (expired.claims, expired.sealed, expired.person, expired.hold_until) == ((), None, None, None)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["approve", "refuse", "cancel", "expire"]), max_size=8))
def test_whatever_happens_in_whatever_order(moves: list[str]) -> None:
    booking, now = held(), START
    for move in moves:
        now += timedelta(minutes=1)
        steps = {
            "approve": lambda b, at: life.approve(b, b.version, at),
            "refuse": lambda b, at: life.refuse(b, b.version, Reason.HOST_BUSY, at),
            "cancel": lambda b, at: life.cancel(b, Reason.REMOVED_BY_HOST, at),
            "expire": life.expire,
        }
        after = steps[move](booking, now)
        if after is not None:
            assert after.version == booking.version + 1
            assert after.history[:-1] == booking.history
            assert not booking.over, "what is over stays over"
            booking = after
    assert bool(booking.claims) == (not booking.over)
    assert [s.version for s in booking.history] == list(range(1, booking.version + 1))

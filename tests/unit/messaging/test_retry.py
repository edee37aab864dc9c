"""When to try again: properties of the policy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.reasons import Reason
from libs.messaging.retry import CEILINGS, PATIENT, QUICK, RetryPolicy
from libs.messaging.topology import LADDER

ATTEMPTS = st.integers(1, 1_000_000)
HOUR = 3600.0


@given(ATTEMPTS, st.floats(0, HOUR))
def test_never_shorter_than_asked_for_up_to_an_hour(attempt: int, after: float) -> None:
    delay = PATIENT.next(attempt, after)

    assert delay is not None
    assert delay.milliseconds >= after * 1000 - 1, "to the millisecond that a message's expiry can say"


@given(ATTEMPTS, st.none() | st.floats(-1e9, 1e9), st.none() | st.sampled_from(list(Reason)))
def test_always_within_its_rung_and_not_in_its_lower_half(
    attempt: int, after: float | None, reason: Reason | None
) -> None:
    delay = PATIENT.next(attempt, after, reason)

    assert delay is not None
    assert delay.rung in LADDER
    assert delay.rung.seconds * 500 <= delay.milliseconds <= delay.rung.seconds * 1000


@given(st.integers(1, 20))
def test_without_a_wish_the_ladder_is_climbed_and_the_last_rung_repeated(attempt: int) -> None:
    delay = PATIENT.next(attempt)

    assert delay is not None
    assert delay.rung == LADDER[min(attempt, len(LADDER)) - 1]


@given(ATTEMPTS, st.sampled_from([reason for reason in CEILINGS if reason]))
def test_trouble_inside_the_house_is_looked_at_again_soon(attempt: int, reason: Reason) -> None:
    delay = PATIENT.next(attempt, None, reason)

    assert delay is not None
    assert delay.rung.seconds <= CEILINGS[reason].seconds


@given(st.integers(1, 100), st.integers(1, 100), st.none() | st.floats(0, HOUR))
def test_attempts_are_exhausted_at_their_number(attempt: int, attempts: int, after: float | None) -> None:
    assert (RetryPolicy(attempts=attempts).next(attempt, after) is None) is (attempt >= attempts)


def test_the_quick_policy_ends_and_the_patient_one_does_not() -> None:
    assert QUICK.next(11) is not None
    assert QUICK.next(12) is None
    assert PATIENT.next(1_000_000) is not None


@pytest.mark.parametrize("after", [0.4, 3.0, 29.0, 110.0, 3599.0])
def test_those_that_failed_together_do_not_come_back_together(after: float) -> None:
    delays = {delay.milliseconds for _ in range(60) if (delay := PATIENT.next(1, after))}

    assert len(delays) > 3

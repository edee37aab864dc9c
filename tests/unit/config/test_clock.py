"""The clock keeps to what the store can hold."""

from datetime import UTC, timedelta

from libs.config import clock
from libs.testing.outage import as_kept


def test_now_is_in_utc_and_whole_milliseconds() -> None:
    for _ in range(50):
        at = clock.now()
        assert at.tzinfo is UTC
        assert as_kept(at) == at
    assert clock.now() - at < timedelta(seconds=5)

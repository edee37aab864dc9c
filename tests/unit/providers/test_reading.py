"""How answers are read: pauses, errors, times, spans."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.providers import google_wire, microsoft_wire
from libs.providers.answers import Answer, decode
from libs.providers.errors import (
    GrantDead,
    ProviderError,
    RateLimited,
    Refused,
    TryLater,
    Unauthorized,
    Unreachable,
)
from libs.providers.microsoft_wire import Moment
from libs.providers.port import Interval
from libs.providers.spans import merged, pieces

DAY = datetime(2030, 1, 1, tzinfo=UTC)
WINDOW = Interval(DAY, DAY + timedelta(days=2))


def answer(status: int, body: object = None, **headers: str) -> Answer:
    return Answer(status, {k.replace("_", "-"): v for k, v in headers.items()}, json.dumps(body).encode())


def google_error(status: int, reason: str, **headers: str) -> ProviderError:
    return google_wire.failure(
        answer(status, {"error": {"errors": [{"reason": reason, "message": "canary"}]}}, **headers)
    )


def test_retry_after_in_seconds_and_as_a_date() -> None:
    assert answer(429, retry_after="17").retry_after == 17
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 55 < (answer(429, retry_after=soon).retry_after or 0) <= 60
    assert answer(429, retry_after="Mon, 01 Jan 2001 00:00:00 GMT").retry_after == 0
    assert answer(429, retry_after="soon").retry_after is None
    assert answer(429).retry_after is None
    assert answer(429, retry_after="99999999").retry_after == 86_400


@pytest.mark.parametrize(
    ("status", "reason", "kind", "pause"),
    [
        (401, "authError", Unauthorized, None),
        (403, "rateLimitExceeded", RateLimited, None),
        (403, "userRateLimitExceeded", RateLimited, None),
        (403, "quotaExceeded", RateLimited, 3600),
        (403, "insufficientPermissions", GrantDead, None),
        (403, "accessNotConfigured", TryLater, 3600),
        (403, "forbiddenForNonOrganizer", Refused, None),
        (429, "rateLimitExceeded", RateLimited, None),
        (400, "invalid", Refused, None),
        (409, "conflict", TryLater, None),
        (412, "conditionNotMet", TryLater, None),
        (500, "backendError", Unreachable, None),
        (503, "backendError", Unreachable, None),
    ],
)
def test_googles_errors(status: int, reason: str, kind: type[ProviderError], pause: float | None) -> None:
    error = google_error(status, reason)
    assert type(error) is kind
    assert getattr(error, "retry_after", None) == pause
    assert "canary" not in str(error)


def test_googles_retry_after_wins() -> None:
    error = google_error(403, "quotaExceeded", retry_after="7")
    assert isinstance(error, RateLimited)
    assert error.retry_after == 7


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Unauthorized),
        (403, Refused),
        (400, Refused),
        (423, Unreachable),
        (429, RateLimited),
        (503, Unreachable),
        (507, TryLater),
        (509, RateLimited),
        (409, TryLater),
        (412, TryLater),
    ],
)
def test_graphs_errors(status: int, kind: type[ProviderError]) -> None:
    assert type(microsoft_wire.failure(answer(status))) is kind


def test_a_403_that_is_not_json_is_a_plain_refusal() -> None:
    assert type(google_wire.failure(Answer(403, {}, b"<html>"))) is Refused


@pytest.mark.parametrize("body", [b"", b"{", b"<html>\x00\xff", b"[" * 100_000, b'{"id": 5}', b'{"id": ""}', b"null"])
def test_garbage_is_unreachable_and_not_quoted(body: bytes) -> None:
    with pytest.raises(Unreachable) as caught:
        decode(Answer(200, {}, body), microsoft_wire.Made)
    assert str(caught.value) == "unreadable-answer"
    assert caught.value.__cause__ is None


def test_graphs_times_have_seven_decimals() -> None:
    assert Moment("2030-01-01T09:00:00.0000000", "UTC").instant == datetime(2030, 1, 1, 9, tzinfo=UTC)
    assert Moment("2030-01-01T09:00:00.1234567", "UTC").instant.microsecond == 123_456
    assert Moment("2030-01-01T09:00:00", "UTC").instant == datetime(2030, 1, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        {"dateTime": "2030-01-01T09:00:00.0000000", "timeZone": "Pacific Standard Time"},
        {"dateTime": "2030-01-01T09:00:00Z", "timeZone": "UTC"},
        {"dateTime": "2030-01-01", "timeZone": "UTC"},
        {"timeZone": "UTC"},
    ],
)
def test_a_time_of_another_kind_is_not_guessed_at(value: object) -> None:
    with pytest.raises(Unreachable):
        decode(answer(200, value), Moment)


def test_a_time_that_does_not_exist() -> None:
    with pytest.raises(Unreachable):
        _ = Moment("2030-02-30T09:00:00", "UTC").instant


def test_spans_are_joined_and_cut_to_the_window() -> None:
    def at(hour: float) -> datetime:
        return DAY + timedelta(hours=hour)

    spans = [
        Interval(at(10), at(11)),
        Interval(at(9), at(10)),
        Interval(at(20), at(20)),
        Interval(at(-5), at(1)),
        Interval(at(47), at(99)),
        Interval(at(60), at(61)),
    ]
    assert merged(spans, WINDOW) == (Interval(at(0), at(1)), Interval(at(9), at(11)), Interval(at(47), at(48)))


def test_a_span_that_ends_before_it_starts_is_not_read_as_free() -> None:
    with pytest.raises(Unreachable):
        merged([Interval(DAY + timedelta(hours=2), DAY)], WINDOW)


MINUTES = st.integers(min_value=-500, max_value=4000)


@given(st.lists(st.tuples(MINUTES, MINUTES)))
def test_merging_keeps_exactly_the_busy_minutes(pairs: list[tuple[int, int]]) -> None:
    spans = [Interval(DAY + timedelta(minutes=min(p)), DAY + timedelta(minutes=max(p))) for p in pairs]
    result = merged(spans, WINDOW)
    assert all(a.end < b.start for a, b in itertools.pairwise(result))
    for minute in range(0, 2880, 53):
        tick = Interval(DAY + timedelta(minutes=minute), DAY + timedelta(minutes=minute + 1))
        assert any(s.overlaps(tick) for s in spans) == any(s.overlaps(tick) for s in result)


def test_pieces_cover_the_window_without_gap() -> None:
    window = Interval(DAY, DAY + timedelta(days=130))
    found = list(pieces(window, timedelta(days=60)))
    assert [(p.end - p.start).days for p in found] == [60, 60, 10]
    assert found[0].start == window.start
    assert all(a.end == b.start for a, b in itertools.pairwise(found))

"""Answers by which a provider asks to be left alone are counted, and the long pauses that follow from some."""

import json

import pytest
from prometheus_client import REGISTRY

from libs.contracts.events import Provider
from libs.providers.answers import Answer
from libs.providers.metering import count_limits


def forbidden(reason: str) -> bytes:
    return json.dumps({"error": {"errors": [{"reason": reason}]}}).encode()


def counted(provider: Provider, answer: Answer) -> tuple[float, float]:
    """By how much this answer moves the two counters: limits and long pauses."""

    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0

    def both() -> tuple[float, float]:
        return (
            value("valet_provider_limited_total", provider=provider, operation="events.insert"),
            value("valet_provider_quota_pauses_total", provider=provider),
        )

    before = both()
    count_limits(provider, "events.insert", answer)
    after = both()
    return after[0] - before[0], after[1] - before[1]


@pytest.mark.parametrize("provider", ["google", "microsoft"])
def test_a_429_is_a_limit_and_a_long_pause_if_it_asks_for_one(provider: Provider) -> None:
    assert counted(provider, Answer(429, {}, b"")) == (1, 0)
    assert counted(provider, Answer(429, {"retry-after": "30"}, b"")) == (1, 0)
    assert counted(provider, Answer(429, {"retry-after": "3600"}, b"")) == (1, 1)


@pytest.mark.parametrize(
    ("reason", "moves"),
    [
        ("rateLimitExceeded", (1, 0)),
        ("userRateLimitExceeded", (1, 0)),
        ("quotaExceeded", (1, 1)),
        ("dailyLimitExceeded", (1, 1)),
        ("accessNotConfigured", (0, 0)),
        ("insufficientPermissions", (0, 0)),
        ("", (0, 0)),
    ],
)
def test_of_googles_403_those_with_a_rate_reason_are_limits(reason: str, moves: tuple[float, float]) -> None:
    assert counted("google", Answer(403, {}, forbidden(reason))) == moves


@pytest.mark.parametrize("status", [200, 204, 401, 404, 500, 503])
def test_no_other_answer_is_one(status: int) -> None:
    assert counted("google", Answer(status, {"retry-after": "3600"}, forbidden("quotaExceeded"))) == (0, 0)

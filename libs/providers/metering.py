"""Counting answers by which a provider asks to be left alone."""

from collections.abc import Callable, Mapping
from typing import Final

from libs.contracts.events import Provider
from libs.providers import google_wire, microsoft_wire
from libs.providers.answers import Answer
from libs.providers.errors import ProviderError, RateLimited
from libs.telemetry.metrics import PROVIDER_LIMITED, PROVIDER_QUOTA_PAUSES

FAILURES: Final[Mapping[Provider, Callable[[Answer], ProviderError]]] = {
    "google": google_wire.failure,
    "microsoft": microsoft_wire.failure,
}
USED_UP: Final = 600.0
"""Seconds. A limit per minute is over long before; a provider that wants to be left alone for longer has no quota left."""


def count_limits(provider: Provider, operation: str, answer: Answer) -> None:
    """Count the answer if it says that the provider is asked too often, and if a long pause follows from it."""
    if answer.status // 100 != 4 and answer.status != 509:
        return
    error = FAILURES[provider](answer)
    if not isinstance(error, RateLimited):
        return
    PROVIDER_LIMITED.labels(provider, operation).inc()
    if (error.retry_after or 0.0) >= USED_UP:
        PROVIDER_QUOTA_PAUSES.labels(provider).inc()

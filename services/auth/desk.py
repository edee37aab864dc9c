"""What the handlers of auth work with."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from libs.contracts.events import Provider
from libs.mongo.outbox import Sends
from libs.providers.port import Calendar
from services.auth.oauth import OAuth
from services.auth.safe import Safe
from services.auth.store import AuthStore
from services.auth.switching import Switchboard

T = TypeVar("T")
R = TypeVar("R")


class Together(Protocol):
    """Does the same for each, several at a time, and keeps their order."""

    def __call__(self, work: Callable[[T], R], items: Sequence[T]) -> Iterable[R]: ...


def one_by_one(work: Callable[[T], R], items: Sequence[T]) -> Iterable[R]:
    """The plain `Together`."""
    return [work(item) for item in items]


@dataclass(frozen=True, slots=True)
class Desk:
    """Ports, keys and limits.

    `relay` empties the connections' outboxes, `host_relay` the hosts'. `refreshing` and `calendars` have time-outs that fit
    into an answer. `switchboard` knows which providers an operator has switched off. `link_seconds` is how long a link lives,
    `patience` how long to wait for a refresh.
    """

    store: AuthStore
    relay: Sends
    host_relay: Sends
    safe: Safe
    oauth: Mapping[Provider, OAuth]
    refreshing: Mapping[Provider, OAuth]
    calendars: Mapping[Provider, Calendar]
    switchboard: Switchboard
    public_url: str
    link_key: bytes = field(repr=False)
    account_key: bytes = field(repr=False)
    link_seconds: float
    patience: float
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    together: Together = one_by_one

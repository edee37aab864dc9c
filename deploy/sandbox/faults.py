"""Faults that tests switch on: which operation, what goes wrong, and how often."""

import itertools
import random
from fnmatch import fnmatchcase
from typing import Any, Literal

import msgspec

Kind = Literal[
    "status",
    "timeout-before",
    "timeout-after",
    "drop-before",
    "drop-after",
    "truncated",
    "garbage",
    "slow-body",
    "calendar-error",
    "redirect",
    "huge",
]
# What still happens to the calendar when the answer goes wrong; a fault may say otherwise with `effect`.
EFFECT: frozenset[str] = frozenset({"timeout-after", "drop-after", "truncated", "slow-body", "calendar-error"})


class FaultSpec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A fault as it is ordered. Times are seconds; `size` is bytes; `count` None means until it is cleared.

    `operation` is a name like `google.events.insert`, or a pattern like `microsoft.*`; `skip` calls pass before it starts;
    `byte_seconds` is the pause after each byte of a slow body; `account` limits it to one person's calls; `probability`
    draws from a generator started with `seed`.
    """

    operation: str
    kind: Kind
    provider: Literal["google", "microsoft", ""] = ""
    count: int | None = None
    skip: int = 0
    probability: float = 1.0
    seed: int = 0
    account: str = ""
    effect: bool | None = None
    status: int = 503
    reason: str = ""
    message: str = ""
    retry_after: int | None = None
    seconds: float = 30.0
    byte_seconds: float = 1.0
    location: str = "https://elsewhere.example.com/"
    calendar: str = ""
    size: int = 50_000_000


class Fault:
    """A fault that is switched on, with how often it has struck."""

    def __init__(self, number: int, spec: FaultSpec) -> None:
        self.id = number
        self.spec = spec
        self.seen = 0
        self.struck = 0
        self._random = random.Random(spec.seed)  # noqa: S311 - repeatable on purpose, guards nothing

    @property
    def pattern(self) -> str:
        """The operation with its provider in front; `*` alone means all."""
        operation, provider = self.spec.operation, self.spec.provider
        return operation if not provider or operation.startswith(provider + ".") else f"{provider}.{operation}"

    @property
    def has_effect(self) -> bool:
        """Whether the call still does to the calendar what it asks for."""
        return self.spec.effect if self.spec.effect is not None else self.spec.kind in EFFECT

    def strikes(self, operation: str, account: str) -> bool:
        """Whether this call is hit. Counts the calls it looks at."""
        spent = self.spec.count is not None and self.struck >= self.spec.count
        if spent or not fnmatchcase(operation, self.pattern) or self.spec.account not in ("", account):
            return False
        self.seen += 1
        hit = self.seen > self.spec.skip and self._random.random() < self.spec.probability
        self.struck += hit
        return hit

    def as_json(self) -> dict[str, Any]:
        """For the admin API."""
        return {"id": self.id, "seen": self.seen, "struck": self.struck, **msgspec.to_builtins(self.spec)}


class Faults:
    """The faults that are switched on; the first that strikes wins."""

    def __init__(self) -> None:
        self.active: dict[int, Fault] = {}
        self._numbers = itertools.count(1)

    def add(self, spec: FaultSpec) -> Fault:
        """Switch one on."""
        fault = Fault(next(self._numbers), spec)
        self.active[fault.id] = fault
        return fault

    def clear(self, number: int | None = None) -> None:
        """Switch one off, or all."""
        if number is None:
            self.active.clear()
        else:
            self.active.pop(number, None)

    def choose(self, operation: str, account: str) -> Fault | None:
        """The fault that hits this call, if any does."""
        return next((fault for fault in self.active.values() if fault.strikes(operation, account)), None)

"""What the stack needs to know of a part to run it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One process of the stack."""

    name: str
    ports: Sequence[str]
    prepare: Callable[[], None]  # write its configuration; its ports are settled by then
    command: Callable[[], Sequence[str]]
    env: Callable[[], Mapping[str, str]]
    problem: Callable[[], str | None]  # None once it is ready, until then what is still missing
    patience: float = 60.0  # seconds until it must be ready
    grace: float = 15.0  # seconds it gets to end by itself

"""Spans, kept in memory."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from libs.telemetry import tracing
from libs.telemetry.tracing import Label

OWN_TRACE = "c" * 32
"""The id of traces that begin at the recorder."""


@dataclass
class Made:
    """The port `libs.telemetry.tracing.Span`."""

    name: str
    kind: str
    within: str | None
    parent: str
    labels: dict[str, Label | None]
    links: tuple[str, ...] = ()
    seconds: float | None = None
    failed: bool = False
    ended: int = 0

    def note(self, labels: Mapping[str, Label | None], *, failed: bool = False) -> None:
        """See the port."""
        self.labels |= labels
        self.failed |= failed

    def end(self) -> None:
        """See the port."""
        self.ended += 1


@dataclass
class MemoryRecorder:
    """The port `libs.telemetry.tracing.Recorder`."""

    sample: float = 1.0
    made: list[Made] = field(default_factory=list)
    closed: bool = False
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def start(
        self, name: str, kind: str, parent: str | None, labels: Mapping[str, Label | None], links: Sequence[str] = ()
    ) -> Made:
        """See the port."""
        trace = parent.split("-")[1] if parent else OWN_TRACE
        inside = f"00-{trace}-{next(self._numbers):016x}-01"
        self.made.append(Made(name, kind, parent, inside, dict(labels), tuple(links)))
        return self.made[-1]

    def past(self, name: str, kind: str, parent: str, labels: Mapping[str, Label | None], seconds: float) -> None:
        """See the port."""
        self.made.append(Made(name, kind, parent, "", dict(labels), seconds=seconds, ended=1))

    def close(self) -> None:
        """See the port."""
        self.closed = True


@contextmanager
def recorded(sample: float = 1.0) -> Iterator[MemoryRecorder]:
    """Spans made within are kept; of traces that begin here, this share."""
    recorder = MemoryRecorder(sample)
    tracing.record(recorder)
    try:
        yield recorder
    finally:
        tracing.record(None)

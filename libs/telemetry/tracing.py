"""Spans: what was done for a trace, and how long it took, told to a collector over OTLP (https://opentelemetry.io/docs/specs/otlp).

Off unless VALET_OTLP_ENDPOINT is set; then nothing of OpenTelemetry is even imported. Spans hold labels from closed lists and
Valet's own ids. A collector that is away costs spans, and nobody's time.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from libs.config.settings import Settings
from libs.telemetry import trace
from libs.telemetry.trace import Work

Label = str | int | bool


class Span(Protocol):
    """A span that is under way."""

    parent: str
    """The traceparent of what is done inside."""

    def note(self, labels: Mapping[str, Label | None], *, failed: bool = False) -> None:
        """Add labels (None are left out), and whether it failed."""
        ...

    def end(self) -> None:
        """It is over."""
        ...


class Recorder(Protocol):
    """Where spans go."""

    sample: float
    """The share of traces kept, of those that begin here."""

    def start(
        self, name: str, kind: str, parent: str | None, labels: Mapping[str, Label | None], links: Sequence[str] = ()
    ) -> Span: ...

    def past(self, name: str, kind: str, parent: str, labels: Mapping[str, Label | None], seconds: float) -> None:
        """A span that ends now and began so many seconds ago."""
        ...

    def close(self) -> None: ...


class _Nothing:
    """A span that nobody wants."""

    def __init__(self, parent: str = "") -> None:
        self.parent = parent

    def note(self, labels: Mapping[str, Label | None], *, failed: bool = False) -> None:
        """Nobody listens."""

    def end(self) -> None:
        """Nothing to end."""


NOTHING: Final = _Nothing()
_recorder: Recorder | None = None


def configure(service: str, settings: Settings) -> None:
    """Send spans where the settings say, if they do."""
    if settings.otlp_endpoint is not None:
        from libs.telemetry.otlp import OtlpRecorder  # noqa: PLC0415 - costs memory and time, so only where it is used

        record(OtlpRecorder(service, settings))


def close() -> None:
    """Record no more; waits some seconds at most until the collector has what is left."""
    recorder = _recorder
    record(None)
    if recorder is not None:
        recorder.close()


def record(recorder: Recorder | None) -> None:
    """Have spans recorded there; by None nowhere."""
    global _recorder  # noqa: PLW0603 - one per process, as the logger is
    _recorder = recorder


def root() -> str:
    """The traceparent of a trace that begins here; whether it is kept is decided here, for all that follows."""
    return trace.new(sampled=_recorder is not None and _chosen(_recorder))


def begun(name: str, kind: str, parent: str | None, labels: Mapping[str, Label | None]) -> Span:
    """A span inside another's (`parent`), which must be ended. Where that one is not kept, neither is this."""
    if _recorder is None or parent is None or not trace.is_sampled(parent):
        return _Nothing(parent or "")
    return _recorder.start(name, kind, parent, labels)


def gathered(name: str, parents: Sequence[str], labels: Mapping[str, Label | None]) -> Span:
    """A span for what is done for several traces at once: linked to each, in a trace of its own. Must be ended."""
    kept = [parent for parent in parents if trace.is_sampled(parent)]
    if _recorder is None or not kept:
        return NOTHING
    return _recorder.start(name, "consumer", None, labels, kept)


@contextmanager
def span(name: str, kind: str, labels: Mapping[str, Label | None]) -> Iterator[Span]:
    """A span around what is done inside, in the trace in hand, or else in one of its own."""
    recorder, parent = _recorder, trace.current()
    if recorder is None or not (trace.is_sampled(parent) if parent else _chosen(recorder)):
        yield NOTHING
        return
    made = recorder.start(name, kind, parent, labels)
    work = trace.held() or Work()
    try:
        with trace.taken(Work(made.parent, work.bookings, work.alone, work.steps)):
            yield made
    except BaseException:
        made.note({}, failed=True)  # and not what it says: texts quote what they choked on
        raise
    finally:
        made.end()


def past(name: str, kind: str, seconds: float, labels: Mapping[str, Label | None]) -> None:
    """A span inside the one in hand, for what has just ended. Outside of any trace it is not kept."""
    parent = trace.current()
    if _recorder is not None and parent and trace.is_sampled(parent):
        _recorder.past(name, kind, parent, labels, seconds)


def _chosen(recorder: Recorder) -> bool:
    return random.random() < recorder.sample  # noqa: S311 - a sample, not a secret

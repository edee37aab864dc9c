"""A collector that is away, or hangs, costs spans and nobody's time: tried under eventlet, as the services run."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

PROGRAM = """
import eventlet
eventlet.monkey_patch()
import json, sys, time
from libs.config.settings import Settings
from libs.telemetry import logs, metrics, tracing

logs.configure("booking", "json", "INFO")
tracing.configure("booking", Settings(otlp_endpoint=sys.argv[1], trace_sample=1.0))
slowest, began = 0.0, time.monotonic()
ticks = []
eventlet.spawn(lambda: [(ticks.append(time.monotonic()), eventlet.sleep(0.05)) for _ in range(30)])
for _ in range(5000):
    at = time.monotonic()
    with tracing.span("consume booking-held", "consumer", {"valet.attempt": 1}):
        pass
    slowest = max(slowest, time.monotonic() - at)
    if _ % 50 == 0:
        eventlet.sleep(0.01)
eventlet.sleep(1)
waiting = tracing._recorder._provider._active_span_processor._span_processors[0]._batch_processor._queue
kept = len(waiting)
end = time.monotonic()
tracing.close()
gaps = [b - a for a, b in zip(ticks, ticks[1:])]
count = lambda outcome: metrics.TRACE_SPANS.labels(outcome)._value.get()
print(json.dumps({"slowest": slowest, "kept": kept, "end": time.monotonic() - end, "gap": max(gaps),
                  "made": count("made"), "taken": count("taken"), "not_taken": count("not-taken")}))
"""


@contextmanager
def nobody() -> Iterator[str]:
    """A port at which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"https://localhost:{bound.getsockname()[1]}"


@contextmanager
def silence() -> Iterator[str]:
    """A port that takes connections and never says a word."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen(20)
        yield f"https://localhost:{bound.getsockname()[1]}"


@pytest.mark.parametrize("away", [nobody, silence], ids=["nobody-listens", "silence"])
def test_a_collector_that_is_away_holds_nobody_up(away: object) -> None:
    with away() as address:  # type: ignore[operator]  # one of the two above
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, address], capture_output=True, text=True, timeout=90, check=True
        )
    found = json.loads(done.stdout)

    assert found["made"] == 5000
    assert found["taken"] == 0
    assert found["kept"] <= 2048, "bounded"
    assert found["slowest"] < 1, "making a span waits for nothing"
    assert found["gap"] < 2, "and neither does anybody else in the process"
    assert found["end"] < 8, "nor does the end of the process, for long"
    assert "localhost" not in done.stderr

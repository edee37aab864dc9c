"""Timers are measured by how their runs end."""

from typing import Any
from unittest.mock import MagicMock

import pytest
from prometheus_client import REGISTRY

from libs.messaging.entrypoints import _Every
from libs.testing.leaks import LogCapture


@pytest.mark.parametrize(("error", "outcome"), [(None, "done"), (RuntimeError("ada@example.com"), "failed")])
def test_every_run_is_measured_and_a_failure_told_without_its_text(
    error: Exception | None, outcome: str, log: LogCapture
) -> None:
    def count() -> float:
        labels = {"timer": "sweep-outbox", "outcome": outcome}
        return REGISTRY.get_sample_value("valet_timer_seconds_count", labels) or 0

    before = count()
    timer: Any = _Every(interval=1).bind(MagicMock(), "sweep_outbox")
    timer.handle_timer_tick()
    timer.handle_result(None, None, (type(error), error, None) if error else None)

    assert count() == before + 1
    assert ("timer failed" in log.text) is (error is not None)
    assert "ada" not in log.text

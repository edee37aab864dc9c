"""Commands to MongoDB are measured by name and outcome, and are spans of the work in hand."""

from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pymongo.monitoring import CommandFailedEvent, CommandSucceededEvent

from libs.mongo.timing import CommandTimes
from libs.telemetry import trace
from libs.telemetry.trace import Work
from libs.testing.spans import recorded

KEPT = f"00-{'1' * 32}-{'a' * 16}-01"


def ended(kind: Any, name: str, reply: dict[str, Any], seconds: float) -> Any:
    length = timedelta(seconds=seconds)
    return kind(length, reply, name, 1, ("mongo.example", 27017), 1, database_name="valet_booking")


def total(command: str, outcome: str) -> float:
    return REGISTRY.get_sample_value("valet_store_seconds_sum", {"command": command, "outcome": outcome}) or 0


@pytest.mark.parametrize(
    ("name", "label"), [("find", "find"), ("findAndModify", "findAndModify"), ("getMore", "other")]
)
def test_every_command_is_measured_and_the_rare_ones_together(name: str, label: str) -> None:
    before, failed = total(label, "done"), total(label, "failed")
    CommandTimes().succeeded(ended(CommandSucceededEvent, name, {"ok": 1}, 0.25))
    CommandTimes().failed(ended(CommandFailedEvent, name, {"ok": 0}, 0.5))

    assert total(label, "done") - before == pytest.approx(0.25)
    assert total(label, "failed") - failed == pytest.approx(0.5)


def test_a_command_is_a_span_that_quotes_nothing() -> None:
    with recorded() as spans, trace.taken(Work(KEPT)):
        CommandTimes().succeeded(ended(CommandSucceededEvent, "find", {"cursor": "ada@example.com"}, 0.25))

    (made,) = spans.made
    assert (made.name, made.within, made.seconds) == ("mongodb find", KEPT, 0.25)
    assert made.labels == {"db.system.name": "mongodb", "db.operation.name": "find", "valet.outcome": "done"}

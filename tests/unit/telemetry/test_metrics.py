"""Metrics keep to Prometheus' rules for names, and their labels to closed lists."""

import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from libs.telemetry import metrics

ALL = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
LABELS = {
    "queue", "type", "outcome", "reason", "collection", "question", "provider", "operation", "why", "standing", "finding", "current"
}  # fmt: skip
UNITS = (
    "_seconds",
    "_events",
    "_bytes",
    "_total",
    "_info",
    "_up",
    "_open",
    "_flight",
    "_left_events",
    "_effects",
    "_connections",
    "_bookings",
    "_unusable",
)


def named(metric: MetricWrapperBase) -> str:
    return str(metric._name) + ("_total" if isinstance(metric, Counter) else "")


def test_there_are_metrics() -> None:
    assert len(ALL) > 20


@pytest.mark.parametrize("metric", ALL, ids=named)
def test_names_begin_with_valet_and_end_with_their_unit(metric: MetricWrapperBase) -> None:
    assert named(metric).startswith("valet_")
    if isinstance(metric, Histogram | Gauge | Counter):
        assert named(metric).endswith(UNITS)
    assert metric._documentation


@pytest.mark.parametrize("metric", ALL, ids=named)
def test_no_label_can_hold_an_id_or_an_address(metric: MetricWrapperBase) -> None:
    assert set(metric._labelnames) <= LABELS

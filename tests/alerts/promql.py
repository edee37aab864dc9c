"""What an expression names: series with their matchers, and labels that it groups by."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import promql_parser
from prometheus_client import Histogram
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.utils import floatToGoString

from libs.telemetry import metrics

TARGET = frozenset({"job", "instance", "service", "pod", "namespace"})
"""Labels that every series has from where it was scraped."""
RABBITMQ = {
    **dict.fromkeys(
        (
            "rabbitmq_alarms_memory_used_watermark",
            "rabbitmq_alarms_free_disk_space_watermark",
            "rabbitmq_process_resident_memory_bytes",
            "rabbitmq_resident_memory_limit_bytes",
            "rabbitmq_disk_space_available_bytes",
            "rabbitmq_disk_space_available_limit_bytes",
        ),
        frozenset[str](),
    ),
    **dict.fromkeys(
        (
            "rabbitmq_detailed_queue_messages_ready",
            "rabbitmq_detailed_queue_messages_unacked",
            "rabbitmq_detailed_queue_consumers",
        ),
        frozenset({"vhost", "queue"}),
    ),
}
"""RabbitMQ's own, as its page shows them (3.10 and 4; https://www.rabbitmq.com/docs/prometheus)."""
OTHERS = {
    "up": frozenset[str](),
    "ALERTS": frozenset({"alertname", "alertstate", "severity"}),
    "process_start_time_seconds": frozenset[str](),
    "process_resident_memory_bytes": frozenset[str](),
    "process_cpu_seconds_total": frozenset[str](),
    "certmanager_certificate_expiration_timestamp_seconds": frozenset({"name"}),
}
"""Prometheus' own, those of every Python process, and cert-manager's (https://cert-manager.io/docs/devops-tips/prometheus-metrics/)."""


@dataclass
class Named:
    """What one expression names."""

    series: list[tuple[str, dict[str, str]]] = field(default_factory=list)  # the matchers by label
    grouped: set[str] = field(default_factory=set)


def named(expression: str) -> Named:
    """Raises ValueError if that is no PromQL."""
    found = Named()

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.series.append((node.name or "", {one.name: one.value for one in node.matchers.matchers}))
        modifier = getattr(node, "modifier", None)
        labels = getattr(modifier, "labels", None) or getattr(getattr(modifier, "matching", None), "labels", None)
        found.grouped |= set(labels or ())

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


@cache
def ours() -> dict[str, frozenset[str]]:
    """Every series of libs.telemetry.metrics, with its labels."""
    return {name: labels for metric in _metrics() for name, labels in _series(metric)}


@cache
def buckets() -> dict[str, set[str]]:
    """The values that `le` has, by series."""
    return {
        f"{_name(metric)}_bucket": {_go(bound) for bound in metric._upper_bounds}
        for metric in _metrics()
        if isinstance(metric, Histogram)
    }


def _go(bound: float) -> str:
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]  # as the client writes it on its page


def _metrics() -> list[MetricWrapperBase]:
    return [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]


def _name(metric: MetricWrapperBase) -> str:
    return next(iter(metric.describe())).name


def _series(metric: MetricWrapperBase) -> Iterator[tuple[str, frozenset[str]]]:
    name, labels = _name(metric), frozenset(metric._labelnames)
    kind = next(iter(metric.describe())).type
    match kind:
        case "counter":
            yield f"{name}_total", labels
        case "histogram":
            yield f"{name}_bucket", labels | {"le"}
            yield f"{name}_count", labels
            yield f"{name}_sum", labels
        case "info":
            yield f"{name}_info", labels | {"version", "revision", "exported_service"}  # Prometheus' own label wins
        case _:
            yield name, labels

"""Metrics keep to Prometheus' rules for names, their labels to closed lists, and each is set somewhere."""

import ast
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase

from libs.telemetry import metrics

ROOT = Path(metrics.__file__).parents[2]
NAMES = {name: value for name, value in vars(metrics).items() if isinstance(value, MetricWrapperBase)}
OPEN_ENDED = {
    "id",
    "host",
    "booking",
    "connection",
    "person",
    "email",
    "token",
    "mailbox",
    "source",
    "calendar",
    "user",
}
"""What code calls things of which there is no end of values."""
ALL = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
LABELS = {
    "queue", "type", "outcome", "reason", "collection", "question", "provider", "operation", "why", "standing", "finding",
    "current", "key", "command", "timer", "level", "excused",
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
    "_flight_limit",
    "_off",
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


def places() -> Iterator[tuple[str, ast.expr, ast.AST]]:
    """Every use of a metric in the code: its name there, the expression that names it, and what is done with that."""
    for file in (*ROOT.glob("libs/**/*.py"), *ROOT.glob("services/**/*.py")):
        if file.name == "metrics.py":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and (name := called(node.value)) in NAMES:
                yield name, node.value, node


def called(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "metrics":
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def labelled() -> Iterator[tuple[str, ast.Call]]:
    for file in (*ROOT.glob("libs/**/*.py"), *ROOT.glob("services/**/*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(value=metric, attr="labels")) if (name := called(metric)) in NAMES:
                    yield name, node


def words(node: ast.AST) -> set[str]:
    """What the values of an expression are called: of `connection.provider` that is `provider`."""
    if isinstance(node, ast.Attribute):
        return {node.attr}
    if isinstance(node, ast.Name):
        return {node.id}
    return {word for child in ast.iter_child_nodes(node) for word in words(child)}


def test_every_metric_is_set_somewhere() -> None:
    used = {name for name, _, use in places() if isinstance(use, ast.Attribute) and use.attr != "clear"}

    assert sorted(set(NAMES) - used) == []


def test_label_values_are_no_ids_and_nothing_put_together() -> None:
    for name, call in labelled():
        assert len(call.args) == len(NAMES[name]._labelnames), name
        for argument in call.args:
            assert not words(argument) & OPEN_ENDED, f"{name}: {ast.unparse(argument)}"
            put_together = any(isinstance(node, ast.JoinedStr) for node in ast.walk(argument))
            assert not put_together, f"{name}: {ast.unparse(argument)}"


def test_the_process_itself_is_measured() -> None:
    page = generate_latest(REGISTRY).decode()

    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"):
        assert f"\n{name} " in page


@pytest.mark.parametrize(
    ("metric", "bound"),
    [
        (metrics.DECISION_SECONDS, 5.0),
        (metrics.WRITE_SECONDS, 60.0),
        *((metrics.ERASURE_SECONDS, bound) for bound in (60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0)),
    ],
)
def test_objectives_have_a_bucket_of_their_own(metric: Histogram, bound: float) -> None:
    assert bound in metric._kwargs.get("buckets", metric._upper_bounds if hasattr(metric, "_upper_bounds") else ())


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Debian's package prometheus is not installed")
def test_promtool_has_no_complaint() -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=generate_latest(REGISTRY), capture_output=True, check=False
    )
    complaints = [line for line in done.stderr.decode().splitlines() if line.startswith("valet_")]

    assert complaints == []

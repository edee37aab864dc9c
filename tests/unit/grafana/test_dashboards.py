"""Dashboards are made as the code says, complete, and about metrics that exist."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

import libs.telemetry.metrics  # noqa: F401 - its import registers every metric of Valet's
from deploy.grafana.__main__ import FOLDERS, REPOSITORY, files
from deploy.grafana.catalogue import BOARDS
from deploy.prometheus.rules import RUNBOOKS, all_groups, runbook

FILES = files()
BOARDS_BY_FILE = {name: json.loads(text) for name, text in FILES.items()}
GIVEN = {"service", "instance", "job", "le"}
"""Labels that come from Prometheus, or with every histogram."""
SAME_FOR_ALL = {
    "valet_outbox_left_events",
    "valet_outbox_oldest_seconds",
    "valet_calendar_effects",
    "valet_calendar_effect_oldest_seconds",
    "valet_calendar_parked_oldest_seconds",
    "valet_reconnect_needed_connections",
    "valet_grant_oldest_proof_seconds",
    "valet_erasures_open",
    "valet_erasure_oldest_seconds",
    "valet_retention_overdue_bookings",
    "valet_retention_overdue_seconds",
    "valet_holds_open",
    "valet_hold_oldest_seconds",
    "valet_provider_switched_off",
}
"""Gauges that every replica reads from the same database."""
MADE_BY_CALLS = {"valet_build_info"}  # the client library's Info has its labels as data


def metrics() -> dict[str, set[str]]:
    """Every series name of Valet's with its labels."""
    found: dict[str, set[str]] = {}
    for collector in {*REGISTRY._collector_to_names}:  # the registry says it nowhere else
        labels = set(getattr(collector, "_labelnames", ()))
        for name in REGISTRY._collector_to_names[collector]:
            found[name] = labels | ({"exported_service", "version", "revision"} if name in MADE_BY_CALLS else set())
    return {name: labels for name, labels in found.items() if name.startswith("valet_") and "_created" not in name}


def panels(name: str) -> Iterator[dict[str, Any]]:
    """A dashboard's panels, without the headings between them."""
    yield from (panel for panel in BOARDS_BY_FILE[name]["panels"] if panel["type"] != "row")


def expressions(*names: str) -> Iterator[str]:
    """Every query of these dashboards."""
    yield from (target["expr"] for name in names for panel in panels(name) for target in panel["targets"])


def family(series: str) -> str:
    """The name of the metric that a series belongs to."""
    return re.sub(r"_(total|info|bucket|count|sum)$", "", series)


def kept_by(expr: str) -> set[str]:
    """The labels that are left after a query's aggregations."""
    return {label for part in re.findall(r"by \(([^)]*)\)", expr) for label in part.split(", ")}


def of_valet(expr: str) -> Iterator[tuple[str, set[str]]]:
    """Each of Valet's metrics in an expression, with the labels that are asked of it in braces."""
    for name, labels in re.findall(r"\b(valet_\w+)(?:\{([^}]*)\})?", expr):
        yield name, set(re.findall(r"(\w+)\s*(?:=|!)", labels))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(REPOSITORY)))
def test_the_files_are_those_that_the_code_makes(folder: Path) -> None:
    assert {file.name: file.read_text() for file in folder.glob("*.json")} == FILES, "run `python -m deploy.grafana`"


def test_addresses_of_dashboards_stay() -> None:
    assert {board.uid for board in BOARDS} == {
        "valet-overview",
        "valet-booking",
        "valet-auth",
        "valet-availability",
        "valet-calendar-writer",
        "valet-providers",
        "valet-bus-and-store",
    }


@pytest.mark.parametrize("name", FILES)
def test_each_panel_says_what_it_shows_and_when_that_is_well(name: str) -> None:
    for panel in panels(name):
        assert panel["title"]
        assert len(panel["description"]) > 15, panel["title"]
        assert panel["targets"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None


@pytest.mark.parametrize("name", FILES)
def test_runbooks_that_panels_link_exist(name: str) -> None:
    of_alerts = {runbook(rule["alert"]) for group in all_groups() for rule in group["rules"] if "alert" in rule}  # type: ignore[attr-defined]  # a group is what YAML makes of it
    others = {file.name for file in (REPOSITORY / "k8s" / "runbooks").glob("*.md")}
    linked = set(re.findall(rf"\({re.escape(RUNBOOKS)}/([^)]*)\)", FILES[name].replace("\\n", "\n")))
    assert linked
    assert linked <= of_alerts | others, "such runbooks there are not"


@pytest.mark.parametrize("name", FILES)
def test_each_line_of_a_graph_has_a_name_of_its_own(name: str) -> None:
    for panel in panels(name):
        names = [target.get("legendFormat", "") for target in panel["targets"]]
        assert len({*names}) == len(names), panel["title"]
        assert panel["type"] != "timeseries" or all(names), panel["title"]
        for target in panel["targets"]:
            shown = set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")))
            kept = kept_by(target["expr"]) | ({"sloth_slo"} if "slo:" in target["expr"] else set())
            assert shown <= kept, f"{panel['title']}: the legend names a label that the query does not keep"


@pytest.mark.parametrize("name", FILES)
def test_queries_ask_for_metrics_and_labels_that_exist(name: str) -> None:
    known = metrics()
    for expr in expressions(name):
        for metric, labels in of_valet(expr):
            assert metric in known, f"{metric} is no metric of Valet's"
            asked = labels | kept_by(expr)
            assert asked <= known[metric] | GIVEN, f"{metric} has no {asked - known[metric] - GIVEN}"


@pytest.mark.parametrize("name", FILES)
def test_what_all_replicas_say_alike_is_not_added_up(name: str) -> None:
    for expr in expressions(name):
        for metric, _ in of_valet(expr):
            if metric in SAME_FOR_ALL:
                assert re.search(rf"max(?: by \([^)]*\))? \({metric}\b", expr), expr


def test_every_metric_is_on_a_dashboard() -> None:
    shown = {family(metric) for expr in expressions(*FILES) for metric, _ in of_valet(expr)}
    assert {family(metric) for metric in metrics()} - shown == set(), "metrics that no dashboard shows"


@pytest.mark.parametrize("name", FILES)
def test_panels_do_not_overlap(name: str) -> None:
    panels = [panel["gridPos"] for panel in BOARDS_BY_FILE[name]["panels"]]
    assert all(each["x"] + each["w"] <= 24 for each in panels)
    for one, other in combinations(panels, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


@pytest.mark.parametrize("name", FILES)
def test_no_two_panels_of_a_dashboard_have_the_same_number(name: str) -> None:
    numbers = Counter(panel["id"] for panel in BOARDS_BY_FILE[name]["panels"])
    assert set(numbers.values()) == {1}


def test_runbooks_can_be_somewhere_else() -> None:
    moved = files("https://wiki.example/valet/")
    assert all(RUNBOOKS not in text for text in moved.values())
    assert "(https://wiki.example/valet/valet-dead-letters.md)" in moved["overview.json"]


def test_kubernetes_gets_every_dashboard_in_an_object_that_apply_takes() -> None:
    component = yaml.safe_load((FOLDERS[1] / "kustomization.yaml").read_text())["configMapGenerator"]
    assert sorted(each["files"][0] for each in component) == sorted(FILES)
    assert all(each["options"]["labels"] == {"grafana_dashboard": "1"} for each in component)
    # `kubectl apply` notes the whole object in an annotation, and annotations have room for 256 KiB.
    assert all(len(json.dumps(text)) < 200_000 for text in FILES.values())


def test_compose_shows_these_dashboards_with_its_own_prometheus() -> None:
    provisioning = REPOSITORY / "deploy" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "valet.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "valet.yaml").read_text())["providers"]
    mounts = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]["grafana"]["volumes"]
    assert source["type"] == "prometheus"
    assert source["url"].startswith("https://prometheus:")
    assert any(f"deploy/grafana/dashboards:{provider['options']['path']}:" in mount for mount in mounts)

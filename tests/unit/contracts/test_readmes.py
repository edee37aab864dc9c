"""The READMEs name what there is: events, questions, settings, metrics, commands, targets and files."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from deploy.cli.catalogue import COMMANDS
from libs.config.settings import Settings
from libs.contracts.events import TYPES
from libs.telemetry import metrics

ROOT = Path(__file__).parents[3]
READMES = [
    ROOT / "README.md",
    *(file for top in ("deploy", "libs", "services") for file in (ROOT / top).rglob("README.md")),
]
TEXTS = {path: path.read_text(encoding="utf-8") for path in READMES}
SERVICES = {s["name"]: s for s in tomllib.loads((ROOT / "deploy/rabbitmq/access.toml").read_text())["services"]}
OTHERS = {
    "VALET_PROBES",
    "VALET_MONGOD",
    "VALET_CHROMIUM",
    "VALET_CHROMEDRIVER",
    "VALET_REQUIRE_BROWSER",
    "VALET_PROMETHEUS",
    "VALET_PROMTOOL",
    "VALET_REQUIRE_PROMETHEUS",
}
"""Settings of the command, the local stack and the tests."""


def _folder(service: str) -> Path:
    return ROOT / "services" / service.replace("-", "_")


def _code(service: str) -> str:
    return "".join(file.read_text(encoding="utf-8") for file in _folder(service).glob("*.py"))


def _section(service: str, heading: str) -> str:
    parts = re.split(r"^## ", TEXTS[_folder(service) / "README.md"], flags=re.MULTILINE)
    (found,) = [part for part in parts if part.startswith(heading)]
    return found


def _events(text: str) -> set[str]:
    return {name for name in re.findall(r"`([a-z-]+)`", text) if name in TYPES}


def _answered(service: str) -> Iterator[str]:
    for node in ast.walk(ast.parse((_folder(service) / "service.py").read_text())):
        if isinstance(node, ast.FunctionDef) and any("answers(" in ast.unparse(d) for d in node.decorator_list):
            yield node.name


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_consumes_what_its_readme_says(service: str) -> None:
    rows = [line.split("|")[1] for line in _section(service, "Consumes").splitlines() if line.startswith("| `")]
    assert _events("".join(rows)) == set(SERVICES[service]["consume"])


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_emits_what_its_readme_says(service: str) -> None:
    assert _events(_section(service, "Emits")) == set(SERVICES[service]["publish"])


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_answers_what_its_readme_says(service: str) -> None:
    rows = re.findall(r"^\| `(?:[a-z-]+\.)?([a-z_]+)\(", _section(service, "Answers"), re.MULTILINE)
    assert sorted(rows) == sorted(_answered(service))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_asks_what_its_readme_says(service: str) -> None:
    asked = SERVICES[service]["ask"]
    assert not asked or set(asked) <= set(re.findall(r"`([a-z-]+\.[a-z_]+)\(", _section(service, "Asks")))


@pytest.mark.parametrize("service", SERVICES)
def test_the_settings_of_a_service_exist(service: str) -> None:
    named = {name.lower() for name in re.findall(r"`(?:VALET_)?([A-Z][A-Z_]+[A-Z])`", _section(service, "Settings"))}
    used = set(re.findall(r"settings\.([a-z_]+)", _code(service))) & set(Settings.model_fields)
    assert used <= named <= set(Settings.model_fields)


@pytest.mark.parametrize("service", SERVICES)
def test_the_metrics_of_a_service_are_in_its_readme(service: str) -> None:
    counted = [getattr(metrics, name) for name in set(re.findall(r"metrics\.([A-Z_]+)", _code(service)))]
    assert counted
    text = _section(service, "Metrics")
    assert [metric.describe()[0].name for metric in counted if metric.describe()[0].name not in text] == []


def test_every_setting_is_listed_for_operators_and_no_other() -> None:
    named: set[str] = set()
    for line in TEXTS[ROOT / "deploy/README.md"].splitlines():
        names = re.findall(r"`((?:VALET)?_[A-Z_]+)`", line.split("|")[1]) if line.startswith("| `VALET_") else []
        group = re.match(r"VALET_(?:GOOGLE|MICROSOFT)?", names[0] if names else "")
        prefix = group[0].rstrip("_") if group else ""
        named |= {name if name.startswith("VALET_") else prefix + name for name in names}
    assert named - OTHERS == {f"VALET_{name.upper()}" for name in Settings.model_fields}


def test_every_metric_is_named_in_a_readme_and_no_other() -> None:
    assert metrics.EVENTS_HANDLED
    families = [family for family in REGISTRY.collect() if family.name.startswith("valet_")]
    suffix = {"counter": "_total", "info": "_info"}
    exposed = {family.name + suffix.get(family.type, "") for family in families}
    databases = {f"valet_{service.replace('-', '_')}" for service in SERVICES}
    assert set(re.findall(r"\bvalet_[a-z_]+", "".join(TEXTS.values()))) - databases == exposed


def test_every_command_is_on_the_front_page() -> None:
    assert [name for name in COMMANDS if f"valet {name}" not in TEXTS[ROOT / "README.md"]] == []


def test_every_target_shown_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = set(re.findall(r"(?:^|`)make ([a-z-]+)", "".join(TEXTS.values()), re.MULTILINE))
    assert {"run", "test", "model", "bench-slots"} <= shown <= targets


PAGES = [*READMES, *(file for top in (".github", "deploy", "k8s", "tests") for file in (ROOT / top).rglob("*.md"))]


@pytest.mark.parametrize("page", sorted(set(PAGES)), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https://|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []

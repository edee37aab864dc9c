"""The days of `scenarios.yaml`, as test files for `promtool test rules`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from deploy.prometheus.burning import Group
from deploy.prometheus.objectives import Strict

FILE = Path(__file__).with_name("scenarios.yaml")


class Day(Strict, frozen=True):
    """What is scraped, when it is looked, and which alerts then fire: by their labels, or of an objective by severity."""

    at: str
    series: dict[str, str]
    alerts: list[dict[str, str]] = msgspec.field(default_factory=list)
    severities: list[str] = msgspec.field(default_factory=list)


class Scenario(Strict, frozen=True):
    """The days of one alert."""

    fires: list[Day]
    silent: list[Day]


class _Texts(yaml.SafeLoader):
    """YAML whose scalars are texts: `0x10` is promtool's notation here, not sixteen."""


_Texts.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:merge"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def scenarios() -> dict[str, Scenario]:
    """All of them, by alert."""
    return msgspec.convert(yaml.load(FILE.read_text(), _Texts), dict[str, Scenario])


def needed(groups: Sequence[Group], alert: str) -> list[Group]:
    """What of all rules an alert stands on: its own rule alone, or its objective's three groups."""
    home = next(group for group in groups if any(rule.get("alert") == alert for rule in rules_of(group)))
    if str(home["name"]).startswith("sloth-slo-alerts-"):
        objective = str(home["name"]).removeprefix("sloth-slo-alerts-")
        return [group for group in groups if str(group["name"]).endswith(f"-recordings-{objective}") or group is home]
    return [{**home, "rules": [rule for rule in rules_of(home) if rule.get("alert") == alert]}]


def rules_of(group: Group) -> list[dict[str, Any]]:
    """A group's rules."""
    rules: list[dict[str, Any]] = group["rules"]  # type: ignore[assignment]  # a group is what YAML makes of it
    return rules


def promtool_file(rules: Path, groups: Sequence[Group], days: Sequence[dict[str, Any]], every: str) -> dict[str, Any]:
    """What promtool reads (https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/)."""
    order = [group["name"] for group in groups]  # otherwise by chance, and an alert may look before its ratio is there
    return {"rule_files": [str(rules)], "evaluation_interval": every, "group_eval_order": order, "tests": list(days)}


def every(scenario: Scenario) -> str:
    """How often rules are evaluated: an objective has many, over days, and nothing that hangs on a minute."""
    return "10m" if any(day.severities for day in scenario.fires) else "1m"


def played(alert: str, scenario: Scenario, severity: str, lasting: str) -> list[dict[str, Any]]:
    """The alert's days. A day on which it fires must have been silent until it was so for long enough (`lasting`, its `for`)."""
    seconds = int(lasting[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[lasting[-1]]
    before = [f"{seconds // 60 - 1}m"] if seconds >= 60 else []
    fires = [_test(alert, day, severity, before) for day in scenario.fires]
    return [*fires, *(_test(alert, day, severity, ()) for day in scenario.silent)]


def _test(alert: str, day: Day, severity: str, silent_at: Sequence[str]) -> dict[str, Any]:
    series = [{"series": name, "values": values} for name, values in day.series.items()]
    firing = _selector({"alertname": alert, "alertstate": "firing"})
    checks = [*_checks(alert, day, severity), *(_check(f"ALERTS{firing}", at, []) for at in silent_at)]
    return {"interval": "1m", "input_series": series, "promql_expr_test": checks}


def _checks(alert: str, day: Day, severity: str) -> Iterator[dict[str, Any]]:
    firing = {"alertname": alert, "alertstate": "firing"}
    expected = [_selector({**firing, "severity": severity, **labels}) for labels in day.alerts]
    if not day.severities:
        yield _check("ALERTS" + _selector(firing), day.at, ["ALERTS" + one for one in expected])
    for one in day.severities:
        found = [_selector({"severity": one})] if day.alerts else []
        yield _check(f"count by (severity) (ALERTS{_selector({**firing, 'severity': one})})", day.at, found)


def _check(expression: str, at: str, samples: Sequence[str]) -> dict[str, Any]:
    return {"expr": expression, "eval_time": at, "exp_samples": [{"labels": one, "value": 1} for one in samples]}


def _selector(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'{name}="{text}"' for name, text in sorted(labels.items())) + "}"

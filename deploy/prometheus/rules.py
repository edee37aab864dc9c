"""All rules, with the runbook of each alert, as a rule file for Prometheus and as an object for its operator in Kubernetes."""

import re
from pathlib import Path
from typing import Any

import yaml

from deploy.prometheus import burning, objectives, thresholds
from deploy.prometheus.burning import Group

RUNBOOKS = "https://github.com/valet/valet/blob/main/k8s/runbooks"
"""Where alerts say that their runbooks are. Whoever keeps them elsewhere makes the files anew: `--runbooks URL`."""
HEAD = "# Made of objectives.yaml and alerts.yaml in deploy/prometheus: `python -m deploy.prometheus`. Change those, not this.\n"

REPOSITORY = Path(__file__).parents[2]
FILE = Path(__file__).with_name("rules.yaml")
KUBERNETES_FILE = REPOSITORY / "k8s" / "components" / "monitoring" / "rules.yaml"


def all_groups(runbooks: str = RUNBOOKS) -> list[Group]:
    """Every group of rules. Raises Wrong."""
    alerts = thresholds.load()
    groups = [*burning.groups(objectives.load(), alerts.fewest_bad_events), thresholds.group(alerts)]
    for group in groups:
        for rule in group["rules"]:  # type: ignore[attr-defined]  # a group is what YAML makes of it
            if "alert" in rule:
                rule["annotations"]["runbook_url"] = f"{runbooks.rstrip('/')}/{runbook(rule['alert'])}"
    return groups


def runbook(alert: str) -> str:
    """The file name of an alert's runbook: `ValetServiceDown` has `valet-service-down.md`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", alert).lower() + ".md"


def rule_file(groups: list[Group]) -> str:
    """What Prometheus reads as one of its `rule_files`."""
    return HEAD + _yaml({"groups": groups})


def kubernetes(groups: list[Group]) -> str:
    """The same as a PrometheusRule of the Prometheus operator."""
    labels = {"app.kubernetes.io/part-of": "valet"}
    about = {"name": "valet", "labels": labels}
    kind = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": about}
    return HEAD + _yaml({**kind, "spec": {"groups": groups}})


class _Readable(yaml.SafeDumper):
    """Expressions over several lines stay so; nothing is folded."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)


def _yaml(document: Any) -> str:
    return yaml.dump(document, Dumper=_Readable, sort_keys=False, width=10_000, allow_unicode=True)

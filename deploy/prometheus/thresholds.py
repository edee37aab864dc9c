"""The alerts of `alerts.yaml`, typed, and the rules they become."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import yaml

from deploy.prometheus.burning import Group, Rule
from deploy.prometheus.objectives import Strict, Wrong

FILE = Path(__file__).with_name("alerts.yaml")


class Alert(Strict, frozen=True):
    """One alert. `lasting` is for how long it must be so before anybody hears of it."""

    alert: str
    severity: Literal["page", "ticket"]
    expr: str
    summary: str
    description: str
    lasting: Annotated[str, msgspec.Meta(pattern="^[0-9]+[smhd]$")] = msgspec.field(name="for", default="0s")


class Alerts(Strict, frozen=True):
    """The whole file."""

    fewest_bad_events: Annotated[int, msgspec.Meta(ge=1)]
    alerts: list[Alert]


def load(file: Path = FILE) -> Alerts:
    """The file's alerts. Raises Wrong."""
    try:
        return msgspec.convert(yaml.safe_load(file.read_text()), Alerts)
    except (msgspec.ValidationError, yaml.YAMLError) as error:
        raise Wrong(f"{file.name}: {error}") from None


def group(alerts: Alerts) -> Group:
    """One group of rules."""
    return {"name": "valet-alerts", "rules": [_rule(alert) for alert in alerts.alerts]}


def _rule(alert: Alert) -> Rule:
    return {
        "alert": alert.alert,
        "expr": alert.expr,
        "for": alert.lasting,
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.summary, "description": alert.description},
    }

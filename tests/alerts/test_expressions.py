"""Every series that a rule or a runbook names exists, with these labels, and with these values of them."""

import re
from pathlib import Path

import pytest

from deploy.prometheus import rules
from tests.alerts.days import rules_of
from tests.alerts.promql import OTHERS, RABBITMQ, TARGET, buckets, named, ours

REPOSITORY = Path(__file__).parents[2]
RUNBOOKS = sorted((REPOSITORY / "k8s" / "runbooks").glob("*.md"))
RULES = [rule for group in rules.all_groups() for rule in rules_of(group)]
RECORDED = {
    name: frozenset().union(*(rule["labels"] for rule in RULES if rule.get("record") == name))
    for name in {rule["record"] for rule in RULES if "record" in rule}
}
KNOWN = {**ours(), **RABBITMQ, **OTHERS, **RECORDED}
CODE = "\n".join(file.read_text() for folder in ("services", "libs") for file in (REPOSITORY / folder).rglob("*.py"))


def test_rules_name_what_there_is() -> None:
    for rule in RULES:
        assert not faults(rule["expr"]), rule.get("alert") or rule.get("record")


@pytest.mark.parametrize("file", RUNBOOKS, ids=lambda file: file.name)
def test_runbooks_name_what_there_is(file: Path) -> None:
    for block in re.findall(r"```promql\n(.*?)```", file.read_text(), re.DOTALL):
        for expression in expressions(block):
            assert not faults(expression), expression


def test_a_fault_is_noticed() -> None:
    assert faults("valet_decided_seconds_count") == ["there is no valet_decided_seconds_count"]
    assert faults('valet_decision_seconds_bucket{le="6.0"}') == ["valet_decision_seconds_bucket has no bucket 6.0"]
    assert faults("sum by (host) (valet_holds_open)") == ["nothing here has the label host"]
    assert faults('valet_calendar_effects{standing="intendet"}') == ["no code says intendet"]
    assert faults('rabbitmq_detailed_queue_messages_ready{name="x"}') == [
        "rabbitmq_detailed_queue_messages_ready has no label name"
    ]


def expressions(block: str) -> list[str]:
    """Those of a block: one a line, a comment at its end."""
    return [line.split("  #")[0].strip() for line in block.splitlines() if line.split("#")[0].strip()]


def faults(expression: str) -> list[str]:
    """What is wrong with an expression."""
    found = named(expression)
    wrong = [f"there is no {name}" for name, _ in found.series if name not in KNOWN]
    series = [(name, matchers) for name, matchers in found.series if name in KNOWN]
    for name, matchers in series:
        wrong += [f"{name} has no label {label}" for label in matchers if label not in KNOWN[name] | TARGET]
        wrong += [f"{name} has no bucket {matchers['le']}" for _ in [0] if _without_bucket(name, matchers)]
        wrong += [f"no code says {value}" for value in _unheard_of(name, matchers)]
    labels = TARGET.union(*(KNOWN[name] for name, _ in series)) if series else found.grouped
    return wrong + [f"nothing here has the label {label}" for label in sorted(found.grouped - labels)]


def _without_bucket(name: str, matchers: dict[str, str]) -> bool:
    return "le" in matchers and matchers["le"] not in buckets().get(name, ())


def _unheard_of(name: str, matchers: dict[str, str]) -> list[str]:
    """Values of Valet's own labels that stand nowhere in its code."""
    own = {
        label: value for label, value in matchers.items() if name in ours() and label not in ("service", "le", "queue")
    }
    parts = [part for value in own.values() for part in value.split(".") if part.replace("-", "_").isidentifier()]
    return [part for part in parts if f'"{part}"' not in CODE]

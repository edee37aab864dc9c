"""The rules that Prometheus evaluates are those of the data, they are right, and every alert fires when it must and only then."""

import re
from pathlib import Path

import pytest
import yaml

from deploy.prometheus import burning, objectives, rules, thresholds
from deploy.prometheus.objectives import Wrong
from tests.alerts.conftest import Promtool
from tests.alerts.days import every, needed, played, promtool_file, rules_of, scenarios

GROUPS = rules.all_groups()
ALERTS = [rule for group in GROUPS for rule in rules_of(group) if "alert" in rule]
NAMES = sorted({rule["alert"] for rule in ALERTS})
OBJECTIVES = {one.alerting.name for one in objectives.load().slos}
SCENARIOS = scenarios()


def test_the_files_are_those_made_of_the_data() -> None:
    remedy = "run `python -m deploy.prometheus`"
    assert rules.FILE.read_text() == rules.rule_file(GROUPS), remedy
    assert rules.KUBERNETES_FILE.read_text() == rules.kubernetes(GROUPS), remedy


def test_prometheus_accepts_the_rules(promtool: Promtool) -> None:
    said = promtool("check", "rules", rules.FILE)

    assert f"{sum(len(rules_of(group)) for group in GROUPS)} rules found" in said


@pytest.mark.parametrize("alert", NAMES)
def test_an_alert_fires_on_its_day_and_is_silent_on_days_that_come_near(
    alert: str, promtool: Promtool, tmp_path: Path
) -> None:
    groups, scenario = needed(GROUPS, alert), SCENARIOS[alert]
    rule = next(rule for rule in ALERTS if rule["alert"] == alert)
    (tmp_path / "rules.yaml").write_text(rules.rule_file(groups))

    tests = played(alert, scenario, rule["labels"]["severity"], rule.get("for", "0s"))
    days = promtool_file(tmp_path / "rules.yaml", groups, tests, every(scenario))

    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(days, sort_keys=False))
    promtool("test", "rules", tmp_path / "tests.yaml")


def test_every_alert_has_a_day_of_either_kind() -> None:
    assert sorted(SCENARIOS) == NAMES
    for alert, scenario in SCENARIOS.items():
        assert scenario.fires, alert
        assert all(day.alerts or day.severities for day in scenario.fires), alert
        assert scenario.silent, alert
        assert not any(day.alerts for day in scenario.silent), alert


def test_every_objectives_alert_fires_in_each_of_its_severities() -> None:
    for alert in OBJECTIVES:
        there_are = {rule["labels"]["severity"] for rule in ALERTS if rule["alert"] == alert}
        assert {one for day in SCENARIOS[alert].fires for one in day.severities} == there_are, alert
        assert {one for day in SCENARIOS[alert].silent for one in day.severities} == there_are, alert


def test_a_text_names_only_labels_that_its_alert_has() -> None:
    for rule in ALERTS:
        told = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        given = {"sloth_service", "sloth_slo"} if rule["alert"] in OBJECTIVES else {"severity"}
        for day in SCENARIOS[rule["alert"]].fires:
            for labels in day.alerts or [{}]:
                assert told <= given | set(labels), rule["alert"]


def test_every_alert_is_a_page_or_a_ticket_and_says_what_it_is_about() -> None:
    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert rule["annotations"]["summary"], rule["alert"]
        assert rule["annotations"]["runbook_url"] == f"{rules.RUNBOOKS}/{rules.runbook(rule['alert'])}"


def test_runbooks_can_be_somewhere_else() -> None:
    moved = rules.all_groups("https://wiki.example/valet/")

    urls = [rule["annotations"]["runbook_url"] for group in moved for rule in rules_of(group) if "alert" in rule]
    assert urls[-1] == "https://wiki.example/valet/valet-certificate-expiring.md"
    assert all(url.startswith("https://wiki.example/valet/valet-") for url in urls)


def test_nothing_fires_while_all_is_well(promtool: Promtool, tmp_path: Path) -> None:
    well = {
        **{f'up{{job="valet",service="{one}"}}': "1x60" for one in ("auth", "availability", "booking")},
        'up{job="valet",service="calendar-writer"}': "1x60",
        'up{job="rabbitmq",instance="r0"}': "1x60",
        'valet_consumer_up{service="booking",queue="booking.hold-bookings"}': "1x60",
        'valet_decision_seconds_count{service="booking",outcome="confirmed"}': "0+60x60",
        'valet_decision_seconds_bucket{service="booking",outcome="confirmed",le="5.0"}': "0+60x60",
        'valet_grant_oldest_proof_seconds{service="auth",provider="google"}': "600x60",
        'rabbitmq_detailed_queue_messages_ready{vhost="valet",queue="booking.hold-bookings"}': "5x60",
        'valet_events_handled_total{service="booking",queue="booking.hold-bookings",outcome="done"}': "0+60x60",
        'rabbitmq_detailed_queue_messages_ready{vhost="valet",queue="dead-letters.booking"}': "0x60",
        'valet_store_seconds_count{service="booking",command="insert",outcome="done"}': "0+600x60",
    }
    series = [{"series": name, "values": values} for name, values in well.items()]
    check = {"expr": 'ALERTS{alertstate="firing"}', "eval_time": "1h", "exp_samples": []}
    test = {"interval": "1m", "input_series": series, "promql_expr_test": [check]}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(promtool_file(rules.FILE, GROUPS, [test], "10m")))

    promtool("test", "rules", tmp_path / "tests.yaml")


# ---- the generator


def test_an_objective_without_a_window_in_its_query_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "objectives.yaml"
    file.write_text(objectives.FILE.read_text().replace("[{{.window}}]", "[5m]"))

    with pytest.raises(Wrong, match=r"objective decision: error_query must have \{\{\.window\}\}"):
        objectives.load(file)


def test_a_word_that_is_not_known_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "alerts.yaml"
    file.write_text(thresholds.FILE.read_text().replace("severity: page", "severity: panic", 1))

    with pytest.raises(Wrong, match=r"alerts\.yaml: .*panic"):
        thresholds.load(file)


def test_the_windows_spend_what_the_workbook_says() -> None:
    """Share of the period's budget that is gone when an alert fires (SRE workbook, table 5-8)."""
    period = burning.WINDOWS[burning.PERIOD]
    spent = [round(burn.rate * burning.WINDOWS[burn.long] / period, 3) for burn in (*burning.PAGE, *burning.TICKET)]

    assert spent == [0.02, 0.05, 0.1, 0.1]


def test_an_alert_looks_at_both_windows_of_each_of_its_burn_rates() -> None:
    page, ticket = (rule["expr"] for rule in ALERTS if rule["alert"] == "ValetDecisionsSlow")

    for expression, burns in ((page, burning.PAGE), (ticket, burning.TICKET)):
        parts = expression.split("\nor\n")
        for part, burn in zip(parts, burns, strict=True):
            above = re.findall(r"ratio_rate(\w+)\{[^}]*\} > \(([\d.]+) \* 0\.001\)", part)
            assert above == [(burn.short, f"{burn.rate:g}"), (burn.long, f"{burn.rate:g}")]

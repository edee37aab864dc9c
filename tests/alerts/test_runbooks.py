"""Every alert has its runbook and every runbook its alert; what they link is there, and what they tell to type can be typed."""

import re
from pathlib import Path

import pytest

from deploy.prometheus import rules
from tests.alerts.days import rules_of
from tests.alerts.shell import commands, fault

FOLDER = Path(__file__).parents[2] / "k8s" / "runbooks"
PAGES = sorted(FOLDER.glob("*.md"))
ALERTS = [rule for group in rules.all_groups() for rule in rules_of(group) if "alert" in rule]
NAMES = sorted({rule["alert"] for rule in ALERTS})
PARTS = ("**Customers notice", "**Urgent:**", "## Look", "## Mend", "## Check that it is over", "## Afterwards")
PROCEDURES = {
    *("broker-loss.md", "database-restore.md", "dead-letter-replay.md", "erasure-stuck.md", "lost-key-file.md"),
    *("mass-reconnect.md", "provider-outage.md", "revoked-client-secret.md", "rolling-back.md", "rotating-keys.md"),
}


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    there_are = {page.name for page in PAGES}

    assert there_are == {rules.runbook(alert) for alert in NAMES} | PROCEDURES | {"README.md"}


@pytest.mark.parametrize("alert", NAMES)
def test_a_runbook_says_how_urgent_it_is_and_has_every_part(alert: str) -> None:
    page = (FOLDER / rules.runbook(alert)).read_text()
    severities = sorted({rule["labels"]["severity"] for rule in ALERTS if rule["alert"] == alert})

    assert page.startswith(f"# {alert}\n\n**{' and '.join(severities).capitalize()}.** ")
    places = [page.find(part) for part in PARTS]
    assert -1 not in places, [part for part in PARTS if part not in page]
    assert places == sorted(places)


def test_the_index_lists_each_alert_by_its_severity() -> None:
    _, page, ticket = re.split(r"^## Alerts", (FOLDER / "README.md").read_text(), flags=re.MULTILINE)
    for severity, part in (("page", page), ("ticket", ticket.split("## Procedures")[0])):
        wanted = {rule["alert"] for rule in ALERTS if rule["labels"]["severity"] == severity}
        assert set(re.findall(r"^\| \[(\w+)\]", part, re.MULTILINE)) == wanted
    assert all(f"({name})" in ticket for name in PROCEDURES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_tells_to_type_can_be_typed(page: Path) -> None:
    wrong = [why for words in commands(page.read_text()) if (why := fault(words))]

    assert not wrong


def test_a_wrong_command_is_noticed() -> None:
    page = """
```sh
valet dead lists
valet dead replay --every   # no such option
S=bookings
kubectl -n valet logs -l app.kubernetes.io/name=$S | grep x
kubectl -n valet exec rabbitmq-server-0 -c rabbitmq -- rabbitmqctl list_queue
```
and `kubectl -n valet rollout undo deploy/calender-writer`
"""
    faults = [fault(words) for words in commands(page)]

    assert [bool(one) for one in faults] == [True, True, True, False, True, True]
    assert faults[2:] == [
        "nothing is labelled bookings",
        None,
        "rabbitmqctl has no list_queue",
        "there is no deploy calender-writer",
    ]

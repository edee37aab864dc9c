"""A host is set up, and bookings are moved and cancelled, by the operator's command on the running stack."""

import json
import os
import subprocess
import sys
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.local.stack import Stack
from deploy.sandbox.browser import approve
from deploy.sandbox.client import SandboxAdmin
from libs.contracts import questions
from tests.e2e.cli.conftest import INVITEE, Valet

ASK = Path(questions.__file__).with_name("examples") / "slots.py"
NEW_YORK = "America/New_York"


@pytest.fixture
def host(stack: Stack, valet: Valet) -> str:
    """A connected host that no other test uses."""
    name = f"cli-{uuid.uuid4().hex[:8]}"
    bundle = stack.env("operator")["VALET_CA_BUNDLE"]
    account = f"{name}@example.com"
    SandboxAdmin(stack.urls()["sandbox"], bundle).create_account("google", account, time_zone=NEW_YORK)
    link = valet("connect", name, "--provider", "google", "--json").document
    assert approve(link["url"], account, bundle).status_code == 200
    return name


def booked(valet: Valet, host: str, start: datetime) -> str:
    ended = valet("book", host, start.isoformat(), "--minutes", "15", *INVITEE, "--wait", "60", "--json")
    assert ended.code == 0, ended.out
    return str(ended.document["booking"])


def steps(ended: Any) -> list[str]:
    return [step["step"] for step in ended.document["steps"]]


def test_a_booking_is_moved_and_cancelled_and_its_history_tells_of_it(host: str, start: datetime, valet: Valet) -> None:
    # given a booking in the calendar
    booking = booked(valet, host, start)
    later = start + timedelta(hours=2)
    # when it is moved
    moved = valet("move", booking, later.isoformat(), "--wait", "60", "--json")
    # then the outcome and the calendar say so, step by step
    assert (moved.code, moved.document["outcome"], moved.document["in_calendar"]) == (0, "moved", True), moved.out
    order = [steps(moved).index(step) for step in ("requested", "held", "approved", "moved", "written")]
    assert order == sorted(order)
    shown = valet("show", booking, "--json").document
    assert datetime.fromisoformat(shown["start"]) == later
    assert shown["move"] is None
    # when the same change is asked for again, then nothing more is done, and the outcome is the same
    again = ("--id", moved.document["request"]["id"], "--wait", "60", "--json")
    assert valet("move", booking, later.isoformat(), *again).document["outcome"] == "moved"
    # when it is cancelled, then its entry goes
    cancelled = valet("cancel", booking, "--label", "host-is-ill", "--wait", "60", "--json")
    assert (cancelled.code, steps(cancelled)[-1]) == (0, "removed"), cancelled.out
    # and the history tells of all of it
    shown = valet("show", booking, "--json").document
    assert shown["state"] == "cancelled"
    assert "host-is-ill" in valet("show", booking).out
    # when it is cancelled once more, then that is refused
    refused = valet("cancel", booking, "--wait", "60", "--json")
    assert (refused.code, refused.document["reason"]) == (3, "booking-over")


def test_a_change_by_somebody_else_is_refused(host: str, start: datetime, valet: Valet) -> None:
    booking = booked(valet, host, start)
    refused = valet("cancel", booking, "--source", "urn:example:stranger", "--wait", "60", "--json")
    assert (refused.code, refused.document["reason"]) == (3, "unknown-booking")
    assert valet("show", booking, "--json").document["state"] == "confirmed"


def test_no_outcome_of_a_change_in_time_is_exit_code_4(host: str, start: datetime, valet: Valet) -> None:
    booking = booked(valet, host, start)
    ended = valet("cancel", booking, "--wait", "0")
    assert ended.code == 4
    assert "--id" in ended.out


def test_a_booking_that_is_not_there_cannot_be_moved(stack: Stack, valet: Valet) -> None:
    ended = valet("move", f"bk_{'z' * 26}", "2031-05-17T10:00", "--json")
    assert ended.code == 1
    assert "there is no booking" in ended.document["error"]["what"]


def test_rules_are_set_shown_obeyed_and_cleared(host: str, start: datetime, valet: Valet, tmp_path: Path) -> None:
    # when rules are set by options
    options = ("--zone", NEW_YORK, "--hours", "mon-sun 09:00-12:00,13:00-17:00", "--override", "2031-12-24=closed")
    more = ("--buffer", "5/10", "--notice", "4h", "--horizon", "400d", "--durations", "30,45", "--daily-limit", "8")
    made = valet("host", "set", host, *options, *more, "--json")
    # then they stand, and are shown in words
    assert made.code == 0, made.out
    rules = made.document["rules"]
    assert rules["overrides"] == {"2031-12-24": []}
    assert (rules["buffer_before_minutes"], rules["minimum_notice_minutes"], rules["daily_limit"]) == (5, 240, 8)
    words = valet("host", "show", host).out
    assert "09:00-12:00, 13:00-17:00" in words
    assert "2031-12-24 closed" in " ".join(words.split())
    # and free times keep to them
    day = (start + timedelta(days=2)).date()
    free = valet("slots", host, "--from", f"{day}", "--to", f"{day + timedelta(days=1)}", "--zone", NEW_YORK).out
    assert "09:00-12:00" in free
    # when one thing is changed, then the rest stays
    changed = valet("host", "set", host, "--daily-limit", "none", "--json").document
    assert changed["version"] == made.document["version"] + 1
    assert changed["rules"].get("daily_limit") is None
    assert changed["rules"]["durations_minutes"] == [30, 45]
    # and what was shown can be given back whole
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(made.document))
    assert valet("host", "set", host, "--file", str(file), "--json").document["rules"] == rules
    # when they are cleared, then every hour is open
    assert valet("host", "clear", host).code == 2, "not without --yes where nobody can be asked"
    assert valet("host", "clear", host, "--yes").code == 0
    assert "always" in valet("host", "show", host).out


def test_rules_that_cannot_be_are_refused_with_words(host: str, valet: Valet) -> None:
    ended = valet("host", "set", host, "--hours", "mon 10:00-09:00", "--json")
    assert ended.code == 1
    assert "mon" in ended.document["error"]["what"]


def test_hosts_tells_of_calendars_last_proof_and_history(host: str, valet: Valet) -> None:
    shown = valet("hosts", host, "--json").document
    (connection,) = shown["connections"]
    assert connection["calendars"] == [{"calendar": "primary", "checked": True, "written": True}]
    assert [step["state"] for step in shown["history"][connection["connection"]]][-1] == "connected"
    assert connection["connection"] in valet("hosts", host).out


def test_calendars_are_chosen(host: str, valet: Valet) -> None:
    # given a host with one calendar
    (only,) = valet("calendars", host, "--json").document["calendars"]
    # when it shall not be read any more, but still be written to, then that stands
    changed = valet("calendars", host, "--ignore", only["connection"], "--json")
    assert changed.code == 0, changed.out
    assert [(one["checked"], one["written"]) for one in changed.document["calendars"]] == [(False, True)]
    # when one is named that is not there, then it is said which
    ended = valet("calendars", host, "--check", f"{only['connection']}:nobody-knows-it", "--json")
    assert ended.code == 1
    assert ended.document["error"]["do"]


def test_several_hosts_are_free_together_or_one_of_them(host: str, start: datetime, valet: Valet) -> None:
    span = ("--from", start.isoformat(), "--to", (start + timedelta(hours=1)).isoformat(), "--duration", "15")
    anyone = valet("slots", host, "nobody-at-all", *span, "--mode", "any", "--json").document
    assert anyone["slots"][0]["hosts"] == [host]
    assert anyone["hosts"]["nobody-at-all"]["why"] == "unknown-host"
    together = valet("slots", host, "nobody-at-all", *span, "--json").document
    assert together["slots"] == []
    assert "nobody-at-all" in valet("slots", host, "nobody-at-all", *span).out


def test_a_program_that_knows_nothing_of_us_can_ask(stack: Stack, host: str, start: datetime) -> None:
    # given the example from the contracts' README, and another service's credentials
    emitter = stack.env("emitter")
    env = {**os.environ, "AMQP_URL": emitter["VALET_AMQP_URL"], "CA_FILE": emitter["VALET_CA_BUNDLE"]}
    command = [sys.executable, str(ASK), host, start.isoformat(), (start + timedelta(hours=1)).isoformat()]
    # when it asks
    done = subprocess.run([*command, "30"], env=env, capture_output=True, text=True, timeout=60, check=False)
    # then it hears the free times
    assert done.returncode == 0, done.stdout + done.stderr
    assert datetime.fromisoformat(done.stdout.split()[0]) == start
    assert "why: None" in done.stdout
    # and what is wrong with a question that cannot be answered
    refused = subprocess.run([*command, "31"], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 2
    assert "BadQuestion" in refused.stdout


def test_a_reconciliation_tells_what_it_did(host: str, start: datetime, valet: Valet) -> None:
    booked(valet, host, start)
    counts = valet("reconcile", host, "--json").document
    assert counts["looked"] == 1
    assert not any(count for finding, count in counts.items() if finding != "looked"), counts
    assert "looked" in valet("reconcile", host).out


def test_a_host_is_disconnected(host: str, valet: Valet) -> None:
    assert valet("disconnect-link", host, "--json").document["url"].startswith("https://")
    assert valet("disconnect", host).code == 2
    assert valet("disconnect", host, "--yes").code == 0
    assert valet("hosts", host, "--json").document["state"] == "disconnected"

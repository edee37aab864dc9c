"""How checks run and are reported."""

import io
import json
import threading
import time
from collections.abc import Iterable

import pytest
from rich.console import Console

from deploy.cli.doctor import command
from deploy.cli.doctor.findings import Check, Finding, bad, good, run
from deploy.cli.screen import Screen


def screen(out: io.StringIO, as_json: bool = False) -> Screen:
    return Screen(as_json=as_json, out=Console(file=out, highlight=False, markup=False, width=60))


def test_findings_come_in_the_order_of_their_checks() -> None:
    def slow() -> Iterable[Finding]:
        time.sleep(0.05)
        return [good("slow")]

    found = run([Check("slow", slow), Check("quick", lambda: [good("quick"), good("more")])], 5)
    assert [finding.name for finding in found] == ["slow", "quick", "more"]


def test_a_check_that_hangs_is_red_by_its_name_and_delays_nobody() -> None:
    # given checks that wait for what never comes
    never = threading.Event()
    hanging = [Check(f"hangs {number}", lambda: [good(str(never.wait(20)))]) for number in range(5)]
    # when they run with others, for 0.2 s
    began = time.monotonic()
    found = run([*hanging, Check("fine", lambda: [good("fine")])], 0.2)
    # then that is how long it takes, all together
    assert time.monotonic() - began < 2
    assert [(finding.name, finding.ok) for finding in found] == [
        *((f"hangs {number}", False) for number in range(5)),
        ("fine", True),
    ]
    never.set()


def test_a_check_that_fails_is_a_finding_without_the_text_of_the_failure() -> None:
    def fails() -> Iterable[Finding]:
        raise RuntimeError("amqps://operator:hushhush@broker")

    (found,) = run([Check("bus login", fails)], 5)
    assert (found.name, found.ok, found.detail) == ("bus login", False, "RuntimeError")


def test_a_check_may_find_something_before_it_fails_and_is_red_all_the_same() -> None:
    def fails_late() -> Iterable[Finding]:
        yield good("first")
        raise RuntimeError

    (found,) = run([Check("late", fails_late)], 5)
    assert (found.name, found.ok) == ("late", False)


def test_the_report_names_each_broken_thing_and_what_to_do() -> None:
    out = io.StringIO()
    command.report([good("bus login", "accepted"), bad("keyring auth", "others can read it", "chmod 600")], screen(out))
    text = out.getvalue()
    assert "bus login: accepted" in text
    assert "keyring auth: others can read it - chmod 600" in text
    assert "1 of 2 checks are red: keyring auth" in text


def test_a_green_report_says_so() -> None:
    out = io.StringIO()
    command.report([good("bus login")], screen(out))
    assert "all 1 checks are green" in out.getvalue()


def test_the_report_is_one_json_document(capsys: pytest.CaptureFixture[str]) -> None:
    command.report([good("a"), bad("b", "broken", "mend it")], screen(io.StringIO(), as_json=True))
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert document["checks"][1] == {"name": "b", "ok": False, "detail": "broken", "advice": "mend it"}


@pytest.mark.parametrize(("broken", "expected"), [(False, True), (True, False)])
def test_only_all_green_is_good(broken: bool, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = [good("a"), bad("b", "", "") if broken else good("b")]
    monkeypatch.setattr(command, "findings_of", lambda environ, seconds: findings)
    assert command.examine({}, screen(io.StringIO()), 1) is expected


def test_nothing_is_told_twice_and_the_bad_news_wins() -> None:
    found = command._once([good("x", "fine"), bad("x", "broken", "mend"), good("y")])
    assert [(finding.name, finding.ok) for finding in found] == [("x", False), ("y", True)]

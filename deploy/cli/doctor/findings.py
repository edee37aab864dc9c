"""What a check finds, and how checks run: all at once, none longer than it may."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: the name of the thing, whether it is well, what was seen, and what to do if it is not."""

    name: str
    ok: bool
    detail: str = ""
    advice: str = ""


def good(name: str, detail: str = "") -> Finding:
    """All is well."""
    return Finding(name, True, detail)


def bad(name: str, detail: str, advice: str) -> Finding:
    """Something is broken."""
    return Finding(name, False, detail, advice)


@dataclass(frozen=True, slots=True)
class Check:
    """`name` is what the report says if the check itself comes to no end."""

    name: str
    run: Callable[[], Iterable[Finding]]


@dataclass(slots=True)
class _Result:
    findings: Sequence[Finding] = ()
    done: threading.Event = field(default_factory=threading.Event)


def run(checks: Sequence[Check], seconds: float) -> list[Finding]:
    """The findings of all checks, in the order of the checks. What is not done after `seconds` is red, and left behind."""
    results = [_begin(check) for check in checks]
    deadline = time.monotonic() + seconds
    findings: list[Finding] = []
    for check, result in zip(checks, results, strict=True):
        if result.done.wait(max(0.0, deadline - time.monotonic())):
            findings += result.findings
        else:
            findings.append(bad(check.name, f"no answer in {seconds:g} s", "see whether it hangs, or the network does"))
    return findings


def _begin(check: Check) -> _Result:
    result = _Result()

    def work() -> None:
        try:
            result.findings = list(check.run())
        except Exception as error:  # noqa: BLE001 - a check that fails is a finding, whatever it failed of
            result.findings = [bad(check.name, f"{type(error).__name__}", "the check itself failed: please report it")]
        result.done.set()

    # A daemon: one that hangs must not keep the command from ending.
    threading.Thread(target=work, name=f"check {check.name}", daemon=True).start()
    return result

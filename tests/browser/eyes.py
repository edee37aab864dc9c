"""What a test can ask a browser about the page that it shows."""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome

PHONE = (360, 780)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def as_phone(browser: Chrome, width: int = PHONE[0]) -> None:
    """Make the page as narrow as a phone."""
    height = PHONE[1]
    metrics = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def overflows(browser: Chrome) -> bool:
    """Whether the page has to be scrolled sideways."""
    script = "return document.documentElement.scrollWidth > document.documentElement.clientWidth"
    return bool(browser.execute_script(script))


def axe(browser: Chrome) -> list[str]:
    """What axe-core finds wrong with the page as it stands: rule and place, a line each."""
    if browser.execute_script("return typeof axe") != "object":
        browser.execute_script(_axe_source())
    options = "{runOnly: arguments[0], resultTypes: ['violations']}"
    script = f"const done = arguments[arguments.length - 1]; axe.run({options}).then(done)"
    found: dict[str, Any] = browser.execute_async_script(script, RULES)
    return [f"{v['id']}: {n['target']} {n['failureSummary']}" for v in found["violations"] for n in v["nodes"]]


def complaints(browser: Chrome) -> list[str]:
    """What the browser's console has said since the test began: errors and warnings."""
    return [entry["message"] for entry in _log(browser, "browser") if entry["level"] in ("SEVERE", "WARNING")]


def hosts_asked(browser: Chrome) -> set[str]:
    """The origins that pages have asked anything of since the test began."""
    messages = [json.loads(entry["message"])["message"] for entry in _log(browser, "performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return {"/".join(url.split("/")[:3]) for url in urls if url.startswith("http")}


def forget(browser: Chrome) -> None:
    """Forget what was logged so far."""
    _log(browser, "browser")
    _log(browser, "performance")


@cache
def _axe_source() -> str:
    spec = find_spec("axe_playwright_python")  # found, not imported: it would want a driver that is not there
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return (Path(spec.submodule_search_locations[0]) / "axe.min.js").read_text("utf-8")


def _log(browser: Chrome, kind: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = browser.get_log(kind)  # type: ignore[no-untyped-call]  # selenium has no type for it
    return entries

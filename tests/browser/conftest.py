"""A real browser, headless: Debian's Chromium, driven by selenium.

VALET_CHROMIUM and VALET_CHROMEDRIVER name other programs. Where there is no Chromium these tests are skipped, unless
VALET_REQUIRE_BROWSER is set.
"""

import os
import shutil
from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from tests.browser.eyes import forget

DESKTOP = (1280, 900)
QUIET = (
    "--headless=new",
    "--no-sandbox",  # the tests may run as root, where Chromium's sandbox does not
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en-US",
)


@pytest.fixture(scope="session")
def _driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    program, driver = _found("VALET_CHROMIUM", "chromium"), _found("VALET_CHROMEDRIVER", "chromedriver")
    options = ChromeOptions()
    options.binary_location = program
    options.accept_insecure_certs = True  # the stack's own authority; that TLS is right is tested elsewhere
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for argument in (*QUIET, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(argument)
    browser = Chrome(options, Service(driver))
    browser.set_page_load_timeout(30)
    yield browser
    browser.quit()


@pytest.fixture
def browser(_driver: Chrome) -> Iterator[Chrome]:
    """A browser that has been nowhere yet, as wide as a desk's screen."""
    _driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    _driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    _driver.set_window_size(*DESKTOP)
    forget(_driver)
    yield _driver
    _driver.get("about:blank")


def _found(setting: str, name: str) -> str:
    program = os.environ.get(setting) or shutil.which(name)
    if program is None and os.environ.get("VALET_REQUIRE_BROWSER"):
        pytest.fail(
            f"there is no {name}: install it (Debian: apt-get install chromium chromium-driver) or set {setting}"
        )
    if program is None:
        pytest.skip(f"there is no {name} on this machine; {setting} can name one")
    return program

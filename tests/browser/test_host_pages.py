"""The hosts' pages in a real browser, through the sandbox's own consent pages: each ending reached for real, and judged.

Judged means: axe-core finds nothing, nothing has to be scrolled sideways on a phone or at 200 %, nothing
in the console. VALET_SCREENSHOTS names a folder to keep pictures in.
"""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from deploy.sandbox.client import SandboxAdmin
from libs.config.settings import Settings
from tests.browser.eyes import as_phone, axe, complaints, forget, hosts_asked, overflows
from tests.contract.providers.auth_pages import EMAIL, Auth, connectable
from tests.contract.providers.conftest import admin, certificate, sandbox, settings

__all__ = ["admin", "certificate", "sandbox", "settings"]  # fixtures, used by name
FREE_BUSY = "calendar.freebusy"
DARK = [{"name": "prefers-color-scheme", "value": "dark"}]
BRANDS = {"google": "Google Calendar", "microsoft": "Office 365"}


@pytest.fixture
def auth(admin: SandboxAdmin, settings: Settings, certificate: tuple[Path, Path]) -> Iterator[Auth]:
    """Auth with one person at each provider, who is called the same at both."""
    with connectable(admin, settings, certificate, provider_timeout=20) as made:  # beside a browser all is slow
        yield made


@pytest.fixture(params=["google", "microsoft"])
def provider(request: pytest.FixtureRequest) -> str:
    """Both in turn."""
    return str(request.param)


def heading(browser: Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "h1").text


def words(browser: Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "main").text


def press(browser: Chrome, label: str) -> None:
    """Press the button that is called so, and wait until the next page is there."""
    (button,) = (b for b in browser.find_elements(By.TAG_NAME, "button") if b.text == label)
    before = browser.find_element(By.TAG_NAME, "html")
    button.click()
    WebDriverWait(browser, 20).until(lambda b: b.find_element(By.TAG_NAME, "html") != before)
    WebDriverWait(browser, 20).until(lambda b: b.execute_script("return document.readyState") == "complete")


def consent(browser: Chrome, email: str = EMAIL, leave_out: str = "", decision: str = "Allow") -> None:
    """Answer the provider's page."""
    WebDriverWait(browser, 20).until(lambda b: b.find_elements(By.ID, "sandbox-consent"))
    Select(browser.find_element(By.NAME, "account")).select_by_value(email)
    if leave_out:
        boxes = browser.find_elements(By.NAME, "scope")
        (box,) = (b for b in boxes if leave_out in str(b.get_attribute("value")))
        box.click()
    press(browser, decision)


def connect(browser: Chrome, auth: Auth, provider: str, host: str = "dr-example", **answer: str) -> None:
    """The whole way, from the link to the page on which it ends."""
    browser.get(auth.link(host))
    press(browser, f"Connect {BRANDS[provider]}")
    consent(browser, **answer)


def judge(browser: Chrome, auth: Auth, name: str, status: int = 200) -> None:
    """The page as it stands is one that everybody can use: light on a desk, dark on a phone."""
    keep(browser, name)
    assert axe(browser) == []
    assert not overflows(browser)
    emulate(browser, width=320)
    assert not overflows(browser)
    emulate(browser, width=640, scale=2)  # a window of 1280, magnified to 200 %
    assert not overflows(browser)
    as_phone(browser)
    keep(browser, f"{name}-phone")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": DARK})
    keep(browser, f"{name}-dark")
    assert axe(browser) == []
    assert not overflows(browser)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    expected = (
        f"status of {status}",
        f"{auth.admin.base_url}/favicon.ico",
    )  # the page's own answer; the sandbox has no icon
    assert [line for line in complaints(browser) if not any(text in line for text in expected)] == []


def emulate(browser: Chrome, width: int, scale: int = 1) -> None:
    shape = {"width": width, "height": 800, "deviceScaleFactor": scale, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", shape)


def keep(browser: Chrome, name: str) -> None:
    """A picture, if anybody wants one."""
    if folder := os.environ.get("VALET_SCREENSHOTS"):
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


def test_the_whole_way_to_a_connected_calendar(browser: Chrome, auth: Auth, provider: str) -> None:
    # given a link
    browser.get(auth.link())
    assert heading(browser) == "Connect your calendar"
    assert "What Valet will never look at" in words(browser)
    judge(browser, auth, "connect")
    # when the host follows it to the provider, and agrees
    press(browser, f"Connect {BRANDS[provider]}")
    consent(browser)
    # then the calendar is connected, and the page says what that means
    assert heading(browser).endswith(f"{BRANDS[provider]} is connected")
    assert "Touch entries that are not its own" in words(browser)
    judge(browser, auth, f"connected-{provider}")
    assert auth.access()["state"] == "connected"
    assert browser.get_cookies() == []
    # and nobody else's server was asked
    assert hosts_asked(browser) <= {auth.url, auth.admin.base_url}


def test_with_the_keyboard_alone(browser: Chrome, auth: Auth, provider: str) -> None:
    # given a link and no mouse
    browser.get(auth.link(provider=provider))
    # when the host tabs to the first thing there is, sees where they are, and presses Enter
    ActionChains(browser).send_keys(Keys.TAB).perform()
    focused = browser.switch_to.active_element
    assert focused.text == f"Connect {BRANDS[provider]}"
    assert focused.value_of_css_property("outline-style") == "solid"
    ActionChains(browser).send_keys(Keys.ENTER).perform()
    consent(browser)
    assert heading(browser).endswith("is connected")
    # then taking it back goes the same way
    browser.get(auth.leave_link())
    ActionChains(browser).send_keys(Keys.TAB).perform()
    assert browser.switch_to.active_element.text.startswith("Disconnect")
    ActionChains(browser).send_keys(Keys.ENTER).perform()
    WebDriverWait(browser, 20).until(lambda b: heading(b).endswith("Disconnected"))
    assert auth.access()["state"] == "disconnected"


def test_the_host_says_no(browser: Chrome, auth: Auth, provider: str) -> None:
    connect(browser, auth, provider, decision="Deny")
    assert heading(browser) == "Not connected"
    assert "You did not allow access" in words(browser)
    judge(browser, auth, "denied", status=403)


def test_a_box_left_unticked(browser: Chrome, auth: Auth) -> None:
    connect(browser, auth, "google", leave_out=FREE_BUSY)
    assert heading(browser) == "Not connected: a permission is missing"
    assert "Nothing was connected, and nothing was kept." in words(browser)
    judge(browser, auth, "not-enough", status=403)
    assert auth.access()["state"] == "invited"


def test_an_account_that_another_host_has(browser: Chrome, auth: Auth, provider: str) -> None:
    connect(browser, auth, provider, host="dr-other")
    forget(browser)
    connect(browser, auth, provider)
    assert heading(browser) == "Not connected: this account is taken"
    judge(browser, auth, "taken", status=409)


def test_a_link_that_was_used_one_that_is_over_and_one_cut_off(browser: Chrome, auth: Auth) -> None:
    used, expiring = auth.link(), auth.link()
    browser.get(used)
    press(browser, "Connect Google Calendar")
    consent(browser)
    browser.get(used)
    assert heading(browser) == "This link no longer works"
    auth.world.clock.now += timedelta(hours=1)
    forget(browser)
    browser.get(expiring)
    assert heading(browser) == "This link no longer works"
    judge(browser, auth, "link-over", status=410)
    browser.get(used[:-3])
    assert heading(browser) == "This link is not right"
    judge(browser, auth, "link-wrong", status=404)


def test_coming_back_too_late(browser: Chrome, auth: Auth, provider: str) -> None:
    browser.get(auth.link())
    press(browser, f"Connect {BRANDS[provider]}")
    auth.world.clock.now += timedelta(minutes=11)
    consent(browser)
    assert heading(browser) == "Please start again"
    judge(browser, auth, "start-again", status=400)
    assert auth.exchanges() == 0


def test_a_provider_that_stumbles(browser: Chrome, auth: Auth, provider: str) -> None:
    auth.admin.add_fault(f"{provider}.token", "status", status=503, count=1)
    connect(browser, auth, provider)
    assert heading(browser) == "Please try again in a minute"
    judge(browser, auth, "unavailable", status=503)


def test_a_page_that_is_not_there(browser: Chrome, auth: Auth) -> None:
    browser.get(f"{auth.url}/nothing")
    assert heading(browser) == "Not Found"
    judge(browser, auth, "not-found", status=404)


def test_taking_access_back_from_both(browser: Chrome, auth: Auth) -> None:
    # given a host with a calendar at each provider, one of which no longer works
    connect(browser, auth, "microsoft")
    auth.world.clock.now += timedelta(minutes=1)
    connect(browser, auth, "google")
    auth.admin.revoke_grant("microsoft", EMAIL)
    auth.world.clock.now += timedelta(hours=2)
    assert auth.access()["state"] == "reconnect-needed"
    forget(browser)
    # when the host opens the page
    browser.get(auth.leave_link())
    assert heading(browser) == "Take access back"
    assert "not worked since" in words(browser)
    assert "Entries that are in your calendar already" in words(browser)
    judge(browser, auth, "disconnect")
    # and disconnects the one that works
    press(browser, "Disconnect\nconnection 2")
    # then it is revoked at Google, and the page says so and what is left
    assert "Google has confirmed" in words(browser)
    assert "Still connected" in words(browser)
    judge(browser, auth, "disconnected-google")
    # and when the other goes too, the page tells where Microsoft keeps its own list
    browser.get(auth.leave_link())
    press(browser, "Disconnect")
    assert "myapps.microsoft.com" in words(browser)
    assert "Nobody can book you any more" in words(browser)
    judge(browser, auth, "disconnected-microsoft")
    assert auth.access()["state"] == "disconnected"
    browser.get(auth.leave_link())
    assert heading(browser) == "Nothing is connected"
    judge(browser, auth, "nothing-connected")


def test_another_account_instead_of_the_one_that_died(browser: Chrome, auth: Auth, provider: str) -> None:
    # given a connection whose grant died
    connect(browser, auth, provider)
    auth.admin.revoke_grant(provider, EMAIL)  # type: ignore[arg-type]  # a literal
    auth.world.clock.now += timedelta(hours=2)
    assert auth.access()["state"] == "reconnect-needed"
    # when the host connects another account
    auth.admin.create_account(provider, "second@example.com")  # type: ignore[arg-type]  # a literal
    connect(browser, auth, provider, email="second@example.com")
    # then the page says that the old one still stands in the way
    assert "Another connection has not worked since" in words(browser)
    judge(browser, auth, f"connected-other-dead-{provider}")


def test_the_providers_are_linked_by_their_real_addresses(browser: Chrome, auth: Auth) -> None:
    def links() -> set[str]:
        return {str(a.get_attribute("href")) for a in browser.find_elements(By.CSS_SELECTOR, "main a")}

    connect(browser, auth, "microsoft")
    assert links() == {"https://myapps.microsoft.com/", "https://account.live.com/consent/Manage"}
    connect(browser, auth, "google")
    assert links() == {"https://myaccount.google.com/connections"}

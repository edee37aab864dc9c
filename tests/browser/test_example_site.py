"""The example site on the real stack, in a real browser: from a free time to the entry in the calendar, and back."""

import os
import signal
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from json import dumps
from zoneinfo import ZoneInfo

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys

from deploy.local.stack import Stack
from tests.browser.eyes import as_phone, axe, complaints, hosts_asked, overflows
from tests.browser.visitor import Visitor, entries, until
from tests.e2e.world import World

ZONE = "Europe/Berlin"


@pytest.fixture(scope="module")
def offered() -> str:
    """The host that the site of this module offers."""
    return f"site-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def world(stack: Stack, offered: str) -> World:
    """The world, with the host's calendar connected."""
    found = World(stack)
    if offered not in {host["host"] for host in found.ask("auth", "hosts")}:
        found.connect(offered, "google")
    return found


@pytest.fixture(scope="module", autouse=True)
def _site(_services: Stack, offered: str) -> Iterator[None]:
    hosts = [{"host": offered, "name": "Dr. Example", "about": "First visits", "minutes": [30, 60]}]
    before = os.environ.get("SITE_HOSTS")
    os.environ["SITE_HOSTS"] = dumps([*hosts, {"host": f"no-{offered}", "name": "Nobody Yet"}])
    _services.restart("example-site")
    yield
    _services.stop_part("example-site")  # whoever needs it next starts it as it should be
    os.environ.pop("SITE_HOSTS")
    if before is not None:
        os.environ["SITE_HOSTS"] = before


@pytest.fixture
def visitor(browser: Chrome, world: World, offered: str) -> Iterator[Visitor]:
    """Somebody in Berlin."""
    browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": ZONE})
    yield Visitor(browser, world.stack.urls()["example-site"], offered)
    browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": ""})


def test_a_visitor_books_a_time_and_follows_it_into_the_calendar(visitor: Visitor, world: World) -> None:
    # given a visitor who begins at the first page
    visitor.open("/")
    visitor.one(".hosts a").click()
    until(lambda: ZONE in visitor.text("footer"), "times are not shown in the visitor's own zone")
    # when a time is chosen, and the form filled in and sent
    start = visitor.choose()
    assert f"{start.astimezone(ZoneInfo(ZONE)):%I:%M %p}".lstrip("0").lower() in visitor.text(".appointment")
    visitor.fill()
    visitor.send()
    # then the page comes to say by itself that it is confirmed, and in the calendar
    visitor.sees("You are booked", "h1")
    visitor.sees("it is in the calendar")
    assert [step.get_attribute("class") for step in visitor.all(".steps li")] == ["done"] * 4
    # and there it is, at that time, once
    assert entries(world, visitor.host).count(start) == 1
    # and another visitor no longer sees the time
    visitor.browser.delete_all_cookies()
    visitor.open(f"/{visitor.host}")
    until(visitor.times, "there are no free times")
    assert f"{start:%Y-%m-%dT%H:%MZ}" not in visitor.times()


def test_the_steps_are_shown_as_they_happen(visitor: Visitor, world: World) -> None:
    # given a calendar that takes its time to be read, and to be written
    visitor.choose(20)
    visitor.fill()
    world.stack.stop_part("calendar-writer")
    world.stack.kill("availability", signal.SIGSTOP)
    # when a booking is asked for, then each step is shown when it is done, and the page need not be loaded again
    try:
        visitor.send()
        visitor.sees("Your time is held", "h1")
        assert [step.get_attribute("class") for step in visitor.all(".steps li")] == ["done", "done", "now", "todo"]
    finally:
        world.stack.kill("availability", signal.SIGCONT)
    visitor.sees("The entry in the calendar follows")
    world.stack.start(["calendar-writer"])
    visitor.sees("it is in the calendar")
    assert "in the calendar" in visitor.browser.execute_script("return document.getElementById('said').textContent")


def test_pages_are_quick_and_ask_nobody_else(visitor: Visitor) -> None:
    # given a visit to the first page, a host and a form
    visitor.open("/")
    visitor.choose(10)
    visitor.fill()
    # then nobody else was asked anything, nothing was complained about, and there is one cookie, with the zone
    assert hosts_asked(visitor.browser) == {visitor.url}
    assert not complaints(visitor.browser)
    assert {cookie["name"] for cookie in visitor.browser.get_cookies()} == {"zone"}
    # and the server needed less than a tenth of a second beside Valet's own answer
    for path in ("/", f"/{visitor.host}", "/zone"):
        visitor.open(path)  # once for what is made on first use
        quickest = min(_server_time(visitor, path) for _ in range(5))
        assert quickest < 100, path
        assert len(visitor.browser.page_source.encode()) < 50_000


def _server_time(visitor: Visitor, path: str) -> float:
    """Milliseconds that the site itself took."""
    visitor.open(path)
    script = "return performance.getEntriesByType('navigation')[0].serverTiming.map(t => [t.name, t.duration])"
    timing = dict(visitor.browser.execute_script(script))
    return float(timing["total"] - timing["valet"])


def test_every_page_is_accessible_and_fits_a_phone(visitor: Visitor) -> None:
    # given every page there is, light and dark
    start = visitor.books(60)
    status, move, cancel = visitor.browser.current_url, visitor.link("move"), visitor.link("cancel")
    later = f"{start + timedelta(days=1):%Y-%m-%dT%H:%MZ}"
    form = f"/{visitor.host}/book?minutes=60&start={later}"
    pages = ["/", f"/{visitor.host}", f"/no-{visitor.host}", form, status, cancel, f"{cancel}x", "/zone"]
    pages += [move, f"{move}?start={later}"]
    for page in pages:
        visitor.open(page)
        _fits_and_is_accessible(visitor, page)
    # and a form with faults in it
    visitor.open(form)
    visitor.send()
    visitor.one(".notice.bad")
    _fits_and_is_accessible(visitor, "faults")


def _fits_and_is_accessible(visitor: Visitor, page: str) -> None:
    browser = visitor.browser
    browser.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})  # or axe could not be put into the page
    for scheme in ("light", "dark"):
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        assert not axe(browser), f"{page}, {scheme}"
        as_phone(browser)
        assert not overflows(browser), page
    as_phone(browser, 320)
    assert not overflows(browser), f"{page}, 320 px"
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_keyboard_is_enough(visitor: Visitor, world: World) -> None:
    # given the form of a free time, opened with the keyboard
    visitor.open(f"/{visitor.host}")
    link = until(lambda: visitor.all(".times a"), "there are no free times")[50]
    start = datetime.fromisoformat(visitor.times()[50])
    link.send_keys(Keys.ENTER)
    # when an empty form is sent, then what is wrong has the focus
    visitor.one("#name").send_keys(Keys.ENTER)
    visitor.one(".notice.bad")
    assert "notice" in str(visitor.browser.switch_to.active_element.get_attribute("class"))
    assert visitor.one("#email").get_attribute("aria-invalid") == "true"
    # and with the form filled in, Enter books
    visitor.fill()
    visitor.one("#name").send_keys(Keys.ENTER)
    visitor.sees("it is in the calendar")
    assert start in entries(world, visitor.host)


def test_a_calendar_that_cannot_be_read_is_said(visitor: Visitor) -> None:
    visitor.open(f"/no-{visitor.host}")
    assert "Free times cannot be shown" in visitor.text()
    assert visitor.one("[role=alert]")


def test_without_scripts_it_works_as_well(visitor: Visitor, world: World) -> None:
    # given a browser that runs no scripts, and a zone that was chosen by hand
    visitor.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        visitor.open(f"/zone?back=/{visitor.host}&zone=Asia/Kolkata")
        assert "Asia/Kolkata" in visitor.text("footer")
        start = datetime.fromisoformat(visitor.times()[70])
        visitor.all(".times a")[70].click()
        visitor.fill()
        visitor.send()
        # then the page asks again by itself until it is in the calendar
        until(lambda: "it is in the calendar" in visitor.browser.page_source, "it never said that it is booked")
        assert start in entries(world, visitor.host)
    finally:
        visitor.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_double_click_books_once(visitor: Visitor, world: World) -> None:
    # given a form that is filled in
    start = visitor.choose(80)
    visitor.fill()
    # when it is sent twice at once, and once more from the browser's history
    visitor.browser.execute_script("const f = document.querySelector('form'); f.submit(); f.submit()")
    visitor.sees("it is in the calendar")
    visitor.browser.back()
    visitor.send()
    visitor.sees("it is in the calendar")
    # then there is one entry
    assert entries(world, visitor.host).count(start) == 1


def test_a_status_link_outlives_a_restart(visitor: Visitor, world: World) -> None:
    # given a booking, and a site that was restarted since
    start = visitor.books(90)
    world.stack.restart("example-site")
    # when the visitor opens the status again, and asks
    visitor.browser.refresh()
    visitor.sees("We have not heard yet")
    visitor.send()
    # then the outcome is told again, and nothing was booked twice
    visitor.sees("You are booked", "h1")
    assert entries(world, visitor.host).count(start) == 1


def test_links_act_only_on_post_and_only_unaltered(visitor: Visitor, world: World) -> None:
    # given a booking with its links
    start = visitor.books(100)
    cancel, move = visitor.link("cancel"), visitor.link("move")
    # when they are opened, and altered ones tried
    for url in (cancel, move):
        visitor.open(url)
        visitor.open(f"{url[:-4]}AAAA")
        assert "not right" in visitor.text()
    # then the booking stands as it was
    assert entries(world, visitor.host).count(start) == 1


def test_cancelling(visitor: Visitor, world: World) -> None:
    # given a booking
    start = visitor.books(110)
    cancel = visitor.link("cancel")
    # when its link is opened and the button pressed
    visitor.open(cancel)
    visitor.send()
    # then the page follows it, and the entry leaves the calendar
    visitor.sees("Your appointment is cancelled")
    until(lambda: start not in entries(world, visitor.host), "the entry still stands")
    # and the link says so, and the time is free again
    visitor.open(cancel)
    assert "cancelled already" in visitor.text()
    until(lambda: _free_again(visitor, start), "the time is not free again")


def _free_again(visitor: Visitor, start: datetime) -> bool:
    visitor.open(f"/{visitor.host}")
    return f"{start:%Y-%m-%dT%H:%MZ}" in visitor.times()


def test_moving(visitor: Visitor, world: World) -> None:
    # given a booking
    start = visitor.books(120)
    visitor.open(visitor.link("move"))
    # when another time is chosen
    target = datetime.fromisoformat(visitor.times()[135])
    visitor.all(".times a")[135].click()
    visitor.send()
    # then the page follows it, and the entry stands at the new time alone
    visitor.sees("Your appointment has its new time")
    until(lambda: target in entries(world, visitor.host), "no entry at the new time")
    assert start not in entries(world, visitor.host)
    # and the links that come with it are those of the new time
    visitor.open(visitor.link("cancel"))
    assert "Cancel this appointment?" in visitor.text("h1")


def test_moving_to_a_time_that_was_taken_meanwhile(visitor: Visitor, world: World) -> None:
    # given a booking, and a page that offers a time which somebody else then takes
    start = visitor.books(130)
    visitor.open(visitor.link("move"))
    choice = visitor.all(".times a")[145].get_attribute("href")
    taken = datetime.fromisoformat(visitor.times()[145])
    world.emit([world.request(visitor.host, taken)])
    until(lambda: taken in entries(world, visitor.host), "the other booking was not written")
    # when the visitor moves there
    visitor.open(str(choice))
    visitor.send()
    # then it is refused in words, and the booking stays where it was
    visitor.sees("Not moved", "h1")
    visitor.sees("your appointment stays where it was")
    assert entries(world, visitor.host).count(start) == 1

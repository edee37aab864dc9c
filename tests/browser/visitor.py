"""Somebody who books on the example site, with their browser."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.e2e.world import World

PATIENCE = 30.0  # seconds; a booking takes well under one, on a machine that has nothing else to do


@dataclass
class Visitor:
    """Somebody who books, with their browser."""

    browser: Chrome
    url: str
    host: str

    def open(self, path: str = "") -> None:
        self.browser.get(path if path.startswith("https:") else f"{self.url}{path}")

    def all(self, selector: str) -> list[WebElement]:
        found: list[WebElement] = self.browser.find_elements(By.CSS_SELECTOR, selector)
        return found

    def one(self, selector: str) -> WebElement:
        found: list[WebElement] = until(lambda: self.all(selector), f"nothing matches {selector}")
        return found[0]

    def text(self, selector: str = "main") -> str:
        return str(self.one(selector).text)

    def times(self) -> list[str]:
        """The free times on the page, as instants in their addresses."""
        script = "return [...document.querySelectorAll('.times a')].map(link => link.href)"
        return [str(address).rpartition("start=")[2] for address in self.browser.execute_script(script)]

    def choose(self, at: int = 40) -> datetime:
        """Open a host's free times and choose one."""
        self.open(f"/{self.host}")
        until(lambda: len(self.all(".times a")) > at, "there are no free times")
        chosen = datetime.fromisoformat(self.times()[at])
        self.all(".times a")[at].click()
        return chosen

    def fill(self, name: str = "Ada Example", email: str = "ada@example.com") -> None:
        self.one("#name").send_keys(name)
        self.one("#email").send_keys(email)
        self.one("#q0").send_keys("A first visit")

    def send(self) -> None:
        self.one("form button").click()

    def title(self) -> str:
        return str(self.browser.execute_script("return document.querySelector('h1').textContent"))

    def sees(self, text: str, selector: str = "main") -> None:
        """Waits until the page says so, by itself."""
        shown = "return (document.querySelector(arguments[0]) || {}).textContent || ''"
        until(
            lambda: text in self.browser.execute_script(shown, selector),
            f"{text!r} is not on {self.browser.current_url}",
        )

    def link(self, purpose: str) -> str:
        return str(self.one(f"main a[href^='/{purpose}/']").get_attribute("href"))

    def books(self, at: int = 40) -> datetime:
        """The whole way, until the entry is in the calendar."""
        start = self.choose(at)
        self.fill()
        self.send()
        self.sees("it is in the calendar")
        return start


def entries(world: World, host: str) -> list[datetime]:
    """When Valet's entries in the host's calendar begin."""
    return [datetime.fromisoformat(e["start"]) for e in world.entries("google", f"{host}@example.com")]


def until(met: Callable[[], Any], complaint: str, seconds: float = PATIENCE) -> Any:
    """What `met` gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := met()):
        if time.monotonic() > deadline:
            raise AssertionError(complaint)
        time.sleep(0.05)
    return found

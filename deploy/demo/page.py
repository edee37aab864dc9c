"""The example site, looked at once as a visitor would: another service's view of the free times."""

import re
import time
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import requests

from deploy.cli.screen import Screen
from deploy.demo.people import HOSTS, OPEN, ZONE
from deploy.demo.setup import Stage

OFFERED = re.compile(r"start=(\d{4}-\d\d-\d\dT\d\d:\d\dZ)")  # in the address of each free time


def show(stage: Stage, screen: Screen) -> bool:
    """Fetch each host's page and show what it offers; whether every page had free times, all within the host's hours."""
    screen.line()
    screen.line("what a visitor of the example site sees:")
    seen = [_looked_at(stage, who.host, screen) for who in HOSTS]  # every one, also after one that fails
    return all(seen)


def _looked_at(stage: Stage, host: str, screen: Screen) -> bool:
    url = f"{stage.stack.urls()['example-site']}/{host}"
    began = time.monotonic()
    try:
        page = requests.get(url, verify=stage.operator["VALET_CA_BUNDLE"], timeout=20)
    except requests.RequestException as error:
        screen.line(screen.mark(False).append(f" {url}: {type(error).__name__}", "default"))
        return False
    took, clocks = (time.monotonic() - began) * 1000, offered(page.text)
    if page.status_code != requests.codes.ok or not clocks:
        screen.line(screen.mark(False).append(f" {url}: {page.status_code}, no free times", "default"))
        return False
    good = within_hours(clocks)
    times = f"{len(clocks)} free times on the first page, {clocks[0]} to {clocks[-1]}"
    text = f" {url}: {times} by the host's clock, {len(page.content) / 1000:.0f} KB in {took:.0f} ms"
    screen.line(screen.mark(good).append(text, "default"))
    return good


def offered(page: str) -> Sequence[str]:
    """When the free times of a page begin, as the hosts' clocks show it (HH:MM), earliest of the day first."""
    found = (datetime.fromisoformat(text).astimezone(ZoneInfo(ZONE)) for text in OFFERED.findall(page))
    return sorted(f"{at:%H:%M}" for at in found)


def within_hours(clocks: Sequence[str]) -> bool:
    """Whether times that are offered all begin while the hosts are open."""
    return all(OPEN.start <= clock < OPEN.end for clock in clocks)

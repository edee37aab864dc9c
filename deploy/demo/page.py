"""The example site, looked at once as a visitor would: another service's view of the free times."""

import time

import requests

from deploy.cli.screen import Screen
from deploy.demo.people import HOSTS
from deploy.demo.setup import Stage

TIME_MARK = "start="  # in the address of each free time


def show(stage: Stage, screen: Screen) -> bool:
    """Fetch each host's page from the example site and show what it offers; whether every page had free times."""
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
    took, count = (time.monotonic() - began) * 1000, page.text.count(TIME_MARK)
    good = page.status_code == 200 and count > 0
    text = f" {url}: {count} free times on the first page, {len(page.content) / 1000:.0f} KB in {took:.0f} ms"
    screen.line(screen.mark(good).append(text if good else f" {url}: {page.status_code}, no free times", "default"))
    return good

"""Where everything is, and what to try."""

import os
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.cli import views
from deploy.cli.screen import Screen
from deploy.demo.people import DOCTOR, GUEST, ZONE
from deploy.demo.progress import heading
from deploy.demo.setup import Stage
from deploy.local.layout import DEFAULT_STATE

DAY = (datetime.now(UTC) + timedelta(days=1)).date()
COMMANDS = (
    "hosts",
    f"host show {DOCTOR.host}",
    f"connect {GUEST.host} --provider {GUEST.provider}",
    f"slots {DOCTOR.host} --duration 30 --zone {ZONE}",
    f"book {DOCTOR.host} {DAY}T10:00 --minutes 30 --zone {ZONE} --name 'Ada Example' --email ada@example.com",
    "doctor",
)


def show(stage: Stage, booking: str | None, screen: Screen) -> None:
    """Addresses, and commands to try, some of them on this booking."""
    heading(screen, "Where things are")
    screen.show(views.pairs(places(stage)))
    screen.line()
    screen.line(f"in another terminal (to connect {GUEST.host}, choose {GUEST.account} on the consent page):")
    changes = (f"show {booking}", f"cancel {booking}") if booking else ()
    for command in (*COMMANDS, *changes):
        screen.line(f"  {_program(stage)} {command}", whole=True)
    screen.line()
    end = "Ctrl-C stops everything" if stage.fresh else "Ctrl-C ends this view; the stack ran before, and goes on"
    screen.line(end, "bold")


def _program(stage: Stage) -> str:
    """How to call the command from here; it finds the repository's own stack by itself."""
    beside = Path(sys.executable).with_name("valet")
    program = "valet" if shutil.which("valet") else os.path.relpath(beside) if beside.exists() else "valet"
    layout = stage.stack.layout
    return program if layout.root == DEFAULT_STATE else f"{program} --env-file {layout.env_file}"


def places(stage: Stage) -> list[tuple[str, str]]:
    """Name and address."""
    urls, layout = stage.stack.urls(), stage.stack.layout
    metrics = [
        (f"metrics of {name.removeprefix('probes-')}", f"{url}/metrics")
        for name, url in urls.items()
        if "probes-" in name
    ]
    return [
        ("a page to book from", urls["example-site"]),
        ("connect page", f"{urls['pages']}/connect/...  (`valet connect HOST` makes the link)"),
        *metrics,
        ("broker UI", f"{urls['rabbitmq-ui']}  (user valet-operator)"),
        ("its password", f'"rabbitmq/valet-operator" in {layout.passwords_file}'),
        ("calendar sandbox", urls["sandbox"]),
        ("authority", f"{layout.certs / 'ca.pem'}  (trust it in your browser to see the pages without a warning)"),
        ("logs", str(layout.logs)),
    ]

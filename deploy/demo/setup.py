"""Brings the stack up, and the hosts' calendars into it, by the same way that people go."""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import requests

from deploy.cli.answers import ConnectLink, Host, Slots
from deploy.cli.asking import Questions, understood
from deploy.cli.environment import settings_of
from deploy.cli.errors import Trouble
from deploy.cli.screen import Screen
from deploy.demo import times
from deploy.demo.bookings import BUSY
from deploy.demo.people import DOCTOR, GUEST, HOSTS, OPEN, OUTSIDE_ATTENDEES, OUTSIDE_TITLE, RULES, ZONE, DemoHost
from deploy.demo.progress import step
from deploy.demo.times import Block
from deploy.local.stack import PARTS, SERVERS, Stack
from deploy.sandbox.browser import BrowserError, approve
from deploy.sandbox.client import SandboxAdmin, SandboxError
from libs.contracts.questions import StandingRules

PATIENCE = 15.0  # seconds until a new connection is known
SECRET_PART = re.compile(r"(/connect/)\S+")  # a connect link lets its bearer in


class Stage:
    """The running stack as the demonstration uses it. Remembers what it started itself."""

    def __init__(self, state: Path) -> None:
        self.stack = Stack(state)
        self._before = self._running()

    @property
    def fresh(self) -> bool:
        """Whether nothing ran before, so that everything may be stopped."""
        return not self._before

    def start(self, screen: Screen) -> None:
        """Start what does not run yet. Raises StackError."""
        services = [part for part in PARTS if part not in SERVERS]
        with step(screen, "RabbitMQ, MongoDB and the calendar sandbox, over TLS on this machine alone"):
            self.stack.start(SERVERS)
        with step(screen, f"the services, and a site that books with them: {', '.join(services)}"):
            self.stack.start(services)
        self.operator: Mapping[str, str] = self.stack.env("operator")
        self.sandbox = SandboxAdmin(self.stack.urls()["sandbox"], self.operator["VALET_CA_BUNDLE"])
        self.questions = Questions(settings_of(self.operator))

    def started(self) -> list[str]:
        """The parts that run now and did not before."""
        return [part for part in self._running() if part not in self._before]

    def stop(self) -> None:
        """Stop what this has started, and nothing else."""
        if self.fresh:
            self.stack.stop()
            return
        for part in sorted(self.started(), key=lambda name: name in (*SERVERS, "epmd")):  # services first
            self.stack.stop_part(part)

    def _running(self) -> list[str]:
        return [part for part in (*self.stack.status(), "epmd") if self.stack.is_running(part)]


def need_sandbox(stage: Stage) -> None:
    """Raises Trouble if real providers are set: nobody could consent there on a person's behalf."""
    sandbox = stage.stack.urls()["sandbox"]
    for name in ("VALET_GOOGLE_API_URL", "VALET_MICROSOFT_GRAPH_URL"):
        if not stage.operator.get(name, "").startswith(sandbox):
            prefix = name.rpartition("_API_URL")[0] or name.rpartition("_GRAPH_URL")[0]
            raise Trouble("the demonstration uses the calendar sandbox only", f"unset {prefix}_CLIENT_ID and the like")


def connect_hosts(stage: Stage, screen: Screen) -> None:
    """Make the accounts and connect each host by OAuth2. Raises Trouble."""
    stage.sandbox.create_account(GUEST.provider, GUEST.account, name=GUEST.name, time_zone=ZONE)
    for who in HOSTS:
        what = f"{who.host} connects a {who.provider.capitalize()} calendar: link, consent page, callback"
        with step(screen, what):
            _connect(stage, who)


def open_hosts(stage: Stage, screen: Screen) -> None:
    """Say when the hosts may be booked. Raises Trouble."""
    with step(screen, f"both may be booked every day from {OPEN.start} to {OPEN.end}, {ZONE}"):
        for who in HOSTS:
            answer = stage.questions("availability", "set_host_rules", who.host, msgspec.to_builtins(RULES))
            understood(answer, StandingRules, "availability")


def choose_times(stage: Stage, screen: Screen) -> Block:
    """A block that both hosts have free, with the outside entry put into it. Raises Trouble."""
    with step(screen, "free times from both calendars, and an outside entry that Valet may only see as busy"):
        block = times.take(stage.stack.layout.root / "demo.json", datetime.now(UTC), lambda b: _free(stage, b))
        stage.sandbox.add_event(
            DOCTOR.provider,
            DOCTOR.account,
            block.at(BUSY[0]),
            block.at(BUSY[1]),
            title=OUTSIDE_TITLE,
            attendees=list(OUTSIDE_ATTENDEES),
        )
    return block


def _connect(stage: Stage, who: DemoHost) -> None:
    try:
        stage.sandbox.create_account(who.provider, who.account, name=who.name, time_zone=ZONE)
        answer = stage.questions("auth", "connect_link", who.host, who.provider)
        page = approve(understood(answer, ConnectLink, "auth").url, who.account, stage.operator["VALET_CA_BUNDLE"])
    except (BrowserError, SandboxError) as error:
        seen = SECRET_PART.sub(r"\1…", str(error))
        raise Trouble(f"{who.host} could not be connected: {seen}", _log(stage)) from None
    except requests.RequestException as error:
        kind = type(error).__name__
        raise Trouble(f"{who.host} could not be connected: {kind}", _log(stage)) from None
    if page.status_code != 200:
        where = page.url.partition("?")[0]
        raise Trouble(f"{where} answered {page.status_code} to {who.host}", _log(stage))
    _await_connected(stage, who)


def _log(stage: Stage) -> str:
    return f"look into {stage.stack.layout.log('auth')}"


def _await_connected(stage: Stage, who: DemoHost) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        known = understood(stage.questions("auth", "hosts"), list[Host], "auth")
        if any(host.host == who.host and host.state == "connected" for host in known):
            return
        time.sleep(0.2)
    raise Trouble(f"{who.host} consented, but is not connected", _log(stage))


def _free(stage: Stage, block: Block) -> bool:
    return all(_free_at(stage, who, block) for who in HOSTS)


def _free_at(stage: Stage, who: DemoHost, block: Block) -> bool:
    """What availability says; a connection that is new may take it a moment to hear of."""
    deadline = time.monotonic() + PATIENCE
    while True:
        span = (block.start.isoformat(), block.end.isoformat())
        found = understood(stage.questions("availability", "slots", who.host, *span, 30), Slots, "availability")
        if found.why is None:
            free = [(datetime.fromisoformat(s.start), datetime.fromisoformat(s.end)) for s in found.slots]
            return times.covered((block.start, block.end), free)
        if time.monotonic() > deadline:
            raise Trouble(f"no free times can be told for {who.host}: {found.why}", "run `valet doctor`")
        time.sleep(0.3)

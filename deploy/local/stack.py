"""Start, stop, look at and break the local stack. State lives in one folder; two folders are two stacks."""

import contextlib
import fcntl
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from deploy.local import processes
from deploy.local.environment import RUNTIME
from deploy.local.errors import StackError
from deploy.local.layout import DEFAULT_STATE, REPOSITORY
from deploy.local.mongod import mongod_part
from deploy.local.part import Part
from deploy.local.programs import (
    EXAMPLE_SITE,
    SERVICES,
    example_site_part,
    inherited,
    sandbox_part,
    service_of,
    service_part,
)
from deploy.local.prometheus import PROMETHEUS, prometheus_part
from deploy.local.rabbitmq import epmd_part, node_environment, rabbitmq_part, script
from deploy.local.site import LocalSite

SERVERS = ("rabbitmq", "mongod", "sandbox")
PARTS = (*SERVERS, *SERVICES, EXAMPLE_SITE)
EXTRAS = (PROMETHEUS,)  # started only when named
_SERVER_PARTS = {"epmd": epmd_part, "rabbitmq": rabbitmq_part, "mongod": mongod_part, PROMETHEUS: prometheus_part}
POLL = 0.1  # seconds
DEAD_WITHIN = 5.0  # seconds; a kill is not instant on a busy machine


class Stack:
    """One local stack. Every method may be called at any time, again, and from any process."""

    def __init__(self, state_dir: Path = DEFAULT_STATE) -> None:
        self.site = LocalSite(state_dir)
        self.layout = self.site.layout
        with self._locked():
            self.site.ensure_files()

    def start(self, parts: Iterable[str] = PARTS) -> None:
        """Start what does not run yet and wait until all of it is ready.

        Raises StackError, with the end of its log, if a part ends or is not ready in time.
        """
        wanted = [name for name in parts if not self.site.external(name)]
        unknown = [name for name in wanted if name not in (*PARTS, *EXTRAS) and service_of(name) is None]
        if unknown:
            raise StackError(f"no such part: {', '.join(unknown)}. There are: {', '.join((*PARTS, *EXTRAS))}")
        for name in wanted:
            self._part(name).command()  # raises if its program is missing, before anything runs
        with self._locked():
            if "rabbitmq" in wanted:
                self._start_together(["epmd"])
            self._start_together([name for name in wanted if name in SERVERS])
            self._start_together([name for name in wanted if name not in SERVERS])
            self.site.write_env_file()

    def stop(self, *, at_once: bool = False) -> None:
        """End everything this stack has started, services first. Nothing of it is left running.

        `at_once` kills instead of asking: for stacks whose data is thrown away.
        """
        with self._locked():
            known = [] if at_once else processes.known_parts(self.layout)
            services = [name for name in known if name not in (*SERVERS, "epmd")]
            for group in (
                services,
                [name for name in SERVERS if name in known],
                [name for name in known if name == "epmd"],
            ):
                self._end_together(group)
            processes.kill_all(self.layout)

    def stop_part(self, part: str) -> None:
        """End one part."""
        with self._locked():
            processes.end(self.layout, part, self._part(part).grace)

    def restart(self, part: str) -> None:
        """End one part and start it again, on the same ports if they are still free."""
        self.stop_part(part)
        self.start([part])

    def kill(self, part: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the process group of a part. Raises StackError if the part does not run."""
        if not processes.send(self.layout, part, number):
            raise StackError(f"{part} is not running")
        if number is signal.SIGKILL:
            processes.wait_until_gone(self.layout, part, DEAD_WITHIN)

    def is_running(self, part: str) -> bool:
        return processes.running(self.layout, part) is not None

    def env(self, who: str) -> dict[str, str]:
        """The settings of a service process (`booking`, `booking-2`), of `operator`, `emitter` or `example-site`."""
        return self.site.env(who)

    def urls(self) -> dict[str, str]:
        """Addresses: `pages`, `example-site`, `rabbitmq-ui`, `broker-metrics`, `sandbox`, `prometheus`, `probes-<service>`."""
        return self.site.urls()

    def status(self) -> dict[str, dict[str, str | int | None]]:
        """Per part: `state` (running, stopped or external), `pid` and `log` (a path)."""
        extra = [name for name in processes.known_parts(self.layout) if name not in PARTS]
        return {name: self._status_of(name) for name in (*PARTS, *extra)}

    def pids(self) -> list[int]:
        """Ids of all live processes of this stack, children included."""
        return processes.all_of(self.layout)

    def rabbitmqctl(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run RabbitMQ's own tool against this stack's broker; its output is captured."""
        command = [script("rabbitmqctl"), "--quiet", *arguments]
        env = node_environment(self.layout, self.site.ports)
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)

    def _status_of(self, name: str) -> dict[str, str | int | None]:
        pid = processes.running(self.layout, name)
        state = "external" if self.site.external(name) else "running" if pid else "stopped"
        return {"state": state, "pid": pid, "log": str(self.layout.log(name))}

    def _part(self, name: str) -> Part:
        layout, ports = self.layout, self.site.ports
        if name in _SERVER_PARTS:
            return _SERVER_PARTS[name](layout, ports)
        if name == "sandbox":
            return sandbox_part(layout, ports, lambda: inherited(RUNTIME))
        if name == EXAMPLE_SITE:
            return example_site_part(layout, ports, lambda: inherited(self.env(name)))
        return service_part(layout, ports, name, lambda: inherited(self.env(name)))

    def _start_together(self, names: Sequence[str]) -> None:
        for name in names:
            if not self.is_running(name):
                self._launch(name)
        for name in names:
            self._await_ready(self._part(name))

    def _end_together(self, names: Sequence[str]) -> None:
        for name in names:  # all at once: each may take its time to finish what it has in hand
            processes.send(self.layout, name, signal.SIGTERM)
        for name in names:
            processes.end(self.layout, name, self._part(name).grace)

    def _launch(self, name: str) -> None:
        part = self._part(name)
        processes.end(self.layout, name, 0)  # orphans of an earlier, killed run
        self.site.ports.settle(part.ports)
        part.prepare()
        processes.launch(self.layout, name, part.command(), part.env(), REPOSITORY)

    def _await_ready(self, part: Part) -> None:
        deadline = time.monotonic() + part.patience
        log = self.layout.log(part.name)
        while problem := part.problem():
            if not self.is_running(part.name):
                raise StackError(f"{part.name} ended while it was starting. {log} ends:\n{processes.tail(log)}")
            if time.monotonic() > deadline:
                processes.end(self.layout, part.name, part.grace)
                raise StackError(f"{part.name} was not ready in {part.patience:.0f} s: {problem}. Its log is {log}")
            time.sleep(POLL)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One command at a time per state folder; a second one waits."""
        with (self.layout.root / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

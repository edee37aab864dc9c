"""Where an experiment takes place: a running stack, fresh hosts, the load, and whoever hears and reads what comes of it."""

import random
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from deploy.local.stack import Stack
from deploy.sandbox.accounts import Provider
from deploy.sandbox.client import SandboxAdmin
from tests.e2e.world import World
from tests.faults.evidence import Evidence
from tests.faults.history import History
from tests.faults.load import Host, Load, Traffic
from tests.faults.points import Points
from tests.faults.recorder import Recorder

POLL = 0.1  # seconds
STRIKES = 60.0  # seconds within which a point that is armed must have been passed
PROVIDERS: tuple[Provider, ...] = ("google", "microsoft")


class Ground:
    """`with Ground(…) as ground:` the hosts connect and the load begins; at the end the load is over."""

    def __init__(self, stack: Stack, name: str, seed: int, points: Points, traffic: Traffic) -> None:
        self.stack, self.points = stack, points
        self.world = World(stack)
        self.sandbox: SandboxAdmin = self.world.sandbox
        self.random = random.Random(f"{seed}/{name}")
        # The seed decides what happens; that names are new each time keeps runs on one stack apart.
        self.run = f"f{name}-{zlib.crc32(f'{seed}/{time.time_ns()}'.encode()):08x}-"
        self.wrong: list[str] = []
        self.figures: list[tuple[str, str]] = []
        self.ended = 0.0
        self.excused: frozenset[str] = frozenset()
        self.letters: frozenset[str] = frozenset()
        self._traffic = traffic

    def __enter__(self) -> "Ground":
        self.heard = Recorder(self.world.link, f"tests.faults.{self.run}")
        self.heard.start()
        names = [(f"{self.run}{p[0]}{n}", p) for n in range(self._traffic.hosts) for p in PROVIDERS]
        self.hosts: Sequence[Host] = [Host(name, p, self.world.connect(name, p)) for name, p in names]
        self.load = Load(self.world, self.heard, self.hosts, self._traffic, self.run, self.random)
        self._evidence = Evidence(self.world, self.load.canary)
        self.load.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.points.disarm()
        self.load.stop()
        self.heard.stop()

    @property
    def folder(self) -> Path:
        """Scratch space of this experiment."""
        path = self.stack.layout.root / "experiments" / self.run
        path.mkdir(parents=True, exist_ok=True)
        return path

    def until(self, condition: Callable[[], bool], seconds: float, what: str) -> bool:
        """Wait; if it does not come in time, the row did not hold."""
        if _comes(condition, seconds):
            return True
        self.broke(f"{what}: not within {seconds:.0f} s")
        return False

    def struck(self, point: str, service: str, prepare: "Callable[[Ground], None]" = lambda _: None) -> None:
        """Have the service kill itself at the point, and wait until it is gone."""
        self.points.arm(point)
        prepare(self)
        if self.until(lambda: self.points.struck(point), STRIKES, f"{service} killed at {point}"):
            self.until(lambda: not self.stack.is_running(service), 10, f"{service} gone")
        self.points.disarm(point)

    def flow(self, events: int, seconds: float = 30) -> bool:
        """Let the load send so many more events; false if it could not in that time, as in an outage."""
        aim = self.load.sent + events
        return _comes(lambda: self.load.sent >= aim or self.load.trouble is not None, seconds)

    def over(self) -> None:
        """The fault is over now: from here on recovery is measured. The end of a fault's function says the same."""
        self.ended = self.ended or time.monotonic()

    def again(self) -> None:
        """Another fault begins: recovery is measured from its end."""
        self.ended = 0.0

    def broke(self, text: str) -> None:
        """The row did not hold."""
        self.wrong.append(text)

    def measured(self, name: str, value: str) -> None:
        """A figure for the report."""
        self.figures.append((name, value))

    def kill(self, *parts: str) -> None:
        """Kill -9 these parts, and start them again."""
        for part in parts:
            self.stack.kill(part)
        self.start(parts)

    def start(self, parts: Iterable[str]) -> None:
        """Start what has ended, as an orchestrator would. That it ended is over by this."""
        self.over()
        self.stack.start(parts)

    def history(self, *, whole: bool = False) -> History:
        """What can be seen now; `whole` looks for personal data too."""
        return replace(
            self._evidence.of(self.run, self.hosts, self.load, self.heard, whole=whole),
            excused=self.excused,
            letters_excused=self.letters,
        )


def _comes(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True

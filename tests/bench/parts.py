"""The parts of the bench, by name and in the order in which they run. What a part needs of another is measured once."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path

from tests.bench import against, bare, batches, contention, floor, growth, latency, profiles, slots, start, throughput
from tests.bench.floor import Chain
from tests.bench.ground import Ground
from tests.bench.report import Figure, Report
from tests.bench.throughput import Load

PARTS = (
    "floor",
    "throughput",
    "batches",
    "latency",
    "contention",
    "replicas",
    "stores",
    "backlog",
    "against",
    "start",
    "slots",
    "profile",
)
TIMED = ("s", "ms", "µs", "bookings/s", "messages/s", "documents/s")


class Parts:
    """One run of the bench. `folder` is for what is kept beside the figures, `tell` says how far it is."""

    def __init__(self, ground: Ground, report: Report, folder: Path, tell: Callable[[str], None]) -> None:
        self._ground, self._report, self._folder, self._tell = ground, report, folder, tell

    def run(self, name: str) -> None:
        """One of PARTS. A figure that does not know its own pace gets that of the whole part."""
        self._tell(f"{name} …")
        began, done = time.monotonic(), len(self._report.figures)
        getattr(self, name)()
        pace = self._ground.yardstick.pace(began, time.monotonic())
        new = self._report.figures[done:]
        self._report.figures[done:] = [replace(each, pace=pace) if _wants(each) else each for each in new]
        self._report.best_pace = self._ground.yardstick.best

    def floor(self) -> None:
        """Bus, disk and sandbox without Valet."""
        self._report.figures += [*floor.figures(self._floors), *bare.figures(self._ground)]

    def throughput(self) -> None:
        """Bookings a second, CPU and memory."""
        alone, together = self._alone, self._together
        self._report.figures += throughput.figures(alone, together, self._floors)
        self._report.details["throughput"] = {
            "writer stopped": [asdict(each) for each in alone],
            "everything": [asdict(each) for each in together],
        }

    def batches(self) -> None:
        """Smaller and larger batches."""
        self._report.figures += batches.figures(self._warm)

    def latency(self) -> None:
        """Alone, and at shares of the most that can be written."""
        most = max(each.written or 0 for each in self._together)
        self._report.figures += [*latency.alone(self._ground), *latency.at_load(self._ground, most)]

    def contention(self) -> None:
        """Many want the same."""
        self._report.figures += contention.figures(self._ground)

    def start(self) -> None:
        """From process to ready."""
        self._report.figures += start.figures(self._ground)

    def replicas(self) -> None:
        """More of each service."""
        self._report.figures += growth.more_replicas(self._warm)

    def stores(self) -> None:
        """More bookings in the stores."""
        self._report.figures += growth.more_bookings(self._warm)

    def backlog(self) -> None:
        """More requests on the bus."""
        self._report.figures += growth.backlog(self._warm)

    def against(self) -> None:
        """The plain way."""
        self._report.figures += against.figures(self._ground, self._alone)

    def slots(self) -> None:
        """Free times, which need neither bus nor store."""
        self._report.figures += [_slots(each) for each in slots.figures()]

    def profile(self) -> None:
        """Where the time goes in each service."""
        self._report.figures += profiles.figures(self._warm, self._folder)

    @cached_property
    def _floors(self) -> Mapping[str, Chain]:
        return floor.chains(self._ground)

    @cached_property
    def _alone(self) -> Sequence[Load]:
        return throughput.without_writer(self._warm)

    @cached_property
    def _together(self) -> Sequence[Load]:
        return throughput.everything(self._warm)

    @cached_property
    def _warm(self) -> Ground:
        self._ground.warm()
        return self._ground


def _wants(each: Figure) -> bool:
    """Whether it hangs on how fast the cores were, and does not say yet."""
    return each.pace is None and each.unit in TIMED


def _slots(each: slots.Figure) -> Figure:
    """A line of the bench of slots as a figure: a peer is to be slower than Valet, a case of Valet's is to be within its goal."""
    if each.times_valet:
        return Figure(
            "slots", each.name, each.milliseconds, "ms", ratio=each.times_valet, goal=1, note="ratio: to Valet's"
        )
    return Figure(
        "slots", each.name, each.milliseconds, "ms", goal=each.goal_ms, at_most=True, note=f"{each.slots} slots"
    )

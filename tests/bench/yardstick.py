"""How fast the cores were while something was measured: the same small piece of work, on each core, five times a second.

On shared hardware a core can be half as fast from one second to the next (somebody else is on its other thread), and nothing else
tells: the work just takes twice the CPU time. So two figures are only compared by what each would have been at the same pace.
CPU time is what is taken, so that it does not matter how busy the machine is with what is measured.
"""

import multiprocessing
import os
import queue
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.queues import Queue

EVERY = 0.2  # seconds
LOOPS, WARM = 4000, 1000
"""Half a millisecond to one, after some to have it in the core's cache again."""
Sample = tuple[float, float]
"""When (`time.monotonic`), and thousands of loops for a CPU second."""


@dataclass
class Yardstick:
    """The paces noted so far, of all cores."""

    source: "Queue[Sample] | None" = None
    samples: list[Sample] = field(default_factory=list)

    def pace(self, began: float, ended: float) -> float | None:
        """The mean between two instants of `time.monotonic`, in thousands of loops for a CPU second; None if none was noted."""
        self._read()
        noted = [pace for at, pace in self.samples if began <= at <= ended]
        return statistics.fmean(noted) if noted else None

    @property
    def best(self) -> float | None:
        """What the cores can do when nobody is in their way: one sample in twenty was faster."""
        self._read()
        paces = sorted(pace for _, pace in self.samples)
        return paces[len(paces) * 19 // 20] if paces else None

    def _read(self) -> None:
        try:
            while self.source is not None:
                self.samples.append(self.source.get_nowait())
        except queue.Empty:
            return


@dataclass(frozen=True)
class Paced:
    """A figure, and the cores' pace while it was measured, if that is known."""

    value: float
    pace: float | None = None


def faster(rate: Paced, limit: Paced) -> float:
    """One rate over another, as it would be had the pace been the same. Raises ZeroDivisionError for a limit of nothing."""
    return rate.value / limit.value / _times(rate, limit)


def dearer(cost: Paced, limit: Paced) -> float:
    """One cost in CPU time over another, likewise."""
    return cost.value / limit.value * _times(cost, limit)


def _times(one: Paced, other: Paced) -> float:
    return one.pace / other.pace if one.pace and other.pace else 1.0


@contextmanager
def yardstick() -> Iterator[Yardstick]:
    """One at work on every core."""
    spawn = multiprocessing.get_context("spawn")
    noted: Queue[Sample] = spawn.Queue()
    cores: Sequence[int] = sorted(os.sched_getaffinity(0))
    workers = [spawn.Process(target=measure, args=(core, noted), daemon=True) for core in cores]
    for worker in workers:
        worker.start()
    try:
        yield Yardstick(noted)
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def measure(core: int, noted: "Queue[Sample]") -> None:
    """The process of one core."""
    os.sched_setaffinity(0, {core})
    while True:
        _work(WARM)
        before = time.thread_time()
        _work(LOOPS)
        noted.put((time.monotonic(), LOOPS / 1000 / (time.thread_time() - before)))
        time.sleep(EVERY)


def _work(loops: int) -> int:
    return sum(len(str(number * number)) for number in range(loops))

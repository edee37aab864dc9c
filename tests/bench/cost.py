"""What processes cost: CPU time and memory, from /proc (Linux only).

CPU time is user and system time (utime + stime of proc_pid_stat(5)); it does not depend on how busy the machine is with others.
Peak memory is VmHWM of proc_pid_status(5): the most that was ever resident.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from deploy.local import processes
from deploy.local.layout import Layout

TICKS = os.sysconf("SC_CLK_TCK")
BENCH = "bench"
Cost = Mapping[str, float]


def cpu(pid: int) -> float:
    """CPU seconds since the process began; 0 if it is gone."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS
    return 0.0


def memory(pid: int, what: str = "VmHWM") -> float:
    """VmRSS (now) or VmHWM (the most so far) in MiB; 0 if it is gone."""
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))
    return 0.0


class Meter:
    """Reads what the parts of a stack, children included, and this very process have cost."""

    def __init__(self, layout: Layout, parts: Iterable[str]) -> None:
        self._pids = {part: processes.descendants(layout, part) for part in parts} | {BENCH: [os.getpid()]}

    def __or__(self, more: Mapping[str, int]) -> "Meter":
        """With these processes besides, by their ids."""
        meter = object.__new__(Meter)
        meter._pids = self._pids | {name: [pid] for name, pid in more.items()}
        return meter

    def cpu(self) -> Cost:
        """CPU seconds of each part so far."""
        return {part: sum(map(cpu, pids)) for part, pids in self._pids.items()}

    def peak(self) -> Cost:
        """MiB that each part had resident at most, since it began."""
        return {part: sum(map(memory, pids)) for part, pids in self._pids.items()}

    def resident(self, parts: Sequence[str]) -> Cost:
        """MiB that each of these parts has resident now."""
        return {part: sum(memory(pid, "VmRSS") for pid in self._pids[part]) for part in parts}


def spent(before: Cost, after: Cost) -> Cost:
    """What was spent between two readings."""
    return {part: after[part] - before[part] for part in after}


def micros(cost: Cost, many: int) -> Cost:
    """CPU seconds as CPU microseconds for each of so many things."""
    return {part: seconds * 1e6 / many for part, seconds in cost.items()}

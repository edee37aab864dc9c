"""What a service's process needs: memory and CPU time, at rest and under load. `python -m tests.bench.resources STATE [WAVE]`.

STATE is a folder for a stack of its own. So many requests as WAVE says (500) are on their way at a time.

Prints one line per service: resident memory after start and at its highest (VmRSS and VmHWM of proc(5), MiB), and CPU time per
1,000 bookings (utime + stime, seconds). CPU time does not depend on how busy the machine is with others; how long it takes does.
"""

import os
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from deploy.local.programs import SERVICES
from deploy.local.stack import Stack
from tests.e2e.world import Heard, World, hear, tomorrow

WAVE = int(sys.argv[2]) if len(sys.argv) > 2 else 500
BOOKINGS, HOSTS = max(3_000, WAVE), 4
PATIENCE = 600  # seconds for all of it
TICKS = os.sysconf("SC_CLK_TCK")


def memory(pid: int, what: str) -> float:
    """VmRSS or VmHWM, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def cpu(pid: int) -> float:
    """CPU seconds since the process began (fields 14 and 15 of proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def waves(world: World) -> Iterator[list[dict[str, Any]]]:
    """Requests for times that do not collide, at hosts of both providers."""
    run = uuid.uuid4().hex[:6]
    hosts = [f"measured-{run}-{number}" for number in range(HOSTS)]
    for number, host in enumerate(hosts):
        world.connect(host, "google" if number % 2 else "microsoft")
    slots = [tomorrow(0) + timedelta(minutes=10 * place) for place in range(BOOKINGS // HOSTS)]
    requests = [world.request(host, slot, 10) for slot in slots for host in hosts]
    for first in range(0, len(requests), WAVE):
        yield requests[first : first + WAVE]


def run(stack: Stack) -> None:
    """Book, wait until everything stands in the calendars, print."""
    world, heard, begun = World(stack), Heard(), time.monotonic()
    pids = {name: int(stack.status()[name]["pid"] or 0) for name in SERVICES}
    rest = {name: memory(pid, "VmRSS") for name, pid in pids.items()}
    before = {name: cpu(pid) for name, pid in pids.items()}
    with world.tap("calendar-event-written") as tap:
        sent = 0
        for wave in waves(world):
            world.emit(wave)
            sent += len(wave)
            if not hear(tap, heard, lambda h: len(h.written()) >= sent - WAVE, PATIENCE):  # noqa: B023 - heard at once
                raise SystemExit(f"only {len(heard.written())} of {sent} were written")
        hear(tap, heard, lambda h: len(h.written()) >= sent, PATIENCE)
    sys.stdout.write(f"{len(heard.written())} bookings written in {time.monotonic() - begun:.0f} s\n")
    for name, pid in pids.items():
        spent = (cpu(pid) - before[name]) * 1000 / sent
        sys.stdout.write(
            f"{name:16} rest {rest[name]:4.0f} MiB  most {memory(pid, 'VmHWM'):4.0f} MiB  {spent:5.2f} s CPU per 1000\n"
        )


def main() -> None:
    """A stack of its own, in the folder given."""
    stack = Stack(Path(sys.argv[1]))
    stack.start()
    try:
        run(stack)
    finally:
        stack.stop()


if __name__ == "__main__":
    main()

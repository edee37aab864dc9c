"""Start: seconds from a service's process to its /ready answering 200, everything it needs being up and nothing else to do.

And the memory that it has then (VmRSS): what it needs at rest.
"""

import statistics
import time

from deploy.local.programs import SERVICES
from tests.bench.ground import Ground
from tests.bench.report import Figure

TIMES = 5
MOST = 2.0  # seconds


def figures(ground: Ground) -> list[Figure]:
    """The median of five starts of each service, the other three running; and what it has in memory after the last."""
    return [figure for service in SERVICES for figure in _of(ground, service)]


def _of(ground: Ground, service: str) -> list[Figure]:
    median = statistics.median(_starts(ground, service))
    resident = ground.meter([service]).resident([service])[service]
    return [
        Figure("start", f"{service} to ready", median, "s", goal=MOST, at_most=True),
        Figure("memory", f"{service}, at rest", resident, "MiB"),
    ]


def _starts(ground: Ground, service: str) -> list[float]:
    return [_start(ground, service) for _ in range(TIMES)]


def _start(ground: Ground, service: str) -> float:
    ground.stack.stop_part(service)
    ground.rest()
    began = time.monotonic()
    ground.stack.start([service])
    return time.monotonic() - began

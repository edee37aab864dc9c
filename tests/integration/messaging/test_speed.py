"""What batching is worth, on this machine: a ratio, for absolute figures say nothing about another machine."""

import time
from collections.abc import Callable

from libs.messaging import topology
from libs.messaging.link import Link
from tests.integration.messaging.conftest import Listen
from tests.integration.messaging.support import Seen, flood, held, wait_until


def _rate(link: Link, queue: topology.Queue, listen: Listen, batch: int, messages: int) -> float:
    """Messages a second through a handler that does nothing."""
    flood(link, queue.name, [held(f"n{i}") for i in range(messages)])
    seen = Seen()
    started = time.monotonic()
    listening = listen(seen, batch=batch)
    wait_until(lambda: len(seen.ids) >= messages, 60)
    seconds = time.monotonic() - started
    assert listening.stop(5)
    return messages / seconds


def test_batches_pay(
    link: Link, queue: topology.Queue, listen: Listen, record_property: Callable[[str, object], None]
) -> None:
    # The best of up to three: whatever else runs on the machine makes it slower, never faster.
    single = batched = 0.0
    for _ in range(3):
        single = max(single, _rate(link, queue, listen, 1, 200))
        batched = max(batched, _rate(link, queue, listen, 200, 2000))
        if batched > 2 * single:
            break
    record_property("ratio", batched / single)
    print(f"batch 1: {single:.0f}/s, batch 200: {batched:.0f}/s, ratio {batched / single:.1f}")  # noqa: T201 - the figure is what it is for
    assert batched > 2 * single

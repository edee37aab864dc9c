"""The broker restarts, hangs, and cuts connections: services wait, come back, and lose nothing."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from deploy.local.stack import Stack
from libs.contracts import codec
from libs.messaging import topology
from libs.messaging.errors import BusUnavailable, MessagingError, ServiceUnavailable
from libs.messaging.link import Link
from libs.messaging.publisher import Outgoing, Publisher
from libs.messaging.rpc import Ask
from tests.integration.messaging.conftest import Listen
from tests.integration.messaging.program import Program
from tests.integration.messaging.support import Seen, channel, depth, held, taken, wait_until


class Hung:
    """The broker's Erlang machine, stopped in its tracks: connections stay, nothing answers."""

    def __init__(self, stack: Stack) -> None:
        self._pids = [pid for pid in stack.pids() if Path(f"/proc/{pid}/comm").read_text().startswith("beam")]
        assert self._pids

    def __enter__(self) -> "Hung":
        self._signal(signal.SIGSTOP)
        for pid in self._pids:  # every thread of it: a signal takes a moment
            wait_until(partial(_all_stopped, pid))
        return self

    def __exit__(self, *_: object) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._pids:
            os.kill(pid, number)


def _all_stopped(pid: int) -> bool:
    return all(_stopped(task) for task in Path(f"/proc/{pid}/task").iterdir())


def _stopped(task: Path) -> bool:
    return (task / "stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.fixture
def quick(link: Link) -> Iterator[Publisher]:
    made = Publisher(link, 1)
    yield made
    made.close()


def test_a_hung_broker_is_told_in_time_and_no_late_confirm_is_taken(
    servers: Stack, link: Link, quick: Publisher, queue: topology.Queue
) -> None:
    # given a publisher whose connection is open
    quick.publish([_to(queue, "before")])
    with Hung(servers):
        # when it publishes while the broker hangs
        started = time.monotonic()
        with pytest.raises(BusUnavailable):
            quick.publish([_to(queue, "during")])
        # then it knows after its time-out
        assert 0.9 < time.monotonic() - started < 2
    # and afterwards, when the late confirm may come, an unconfirmed message is not taken for a confirmed one:
    for _ in range(10):
        with pytest.raises(BusUnavailable):
            quick.publish([Outgoing("no-such-exchange", "x", b"{}", codec.STRUCTURED)])
    quick.publish([_to(queue, "after")])
    bodies = [bytes(message.body) for message in taken(link, queue.name)]
    assert bodies[0] == held("before")
    assert bodies[-1] == held("after")


def test_questions_meet_their_deadlines_while_the_broker_hangs(servers: Stack, ask: Ask) -> None:
    # given many who ask at once, none of them connected yet
    with Hung(servers):
        times: list[float] = []

        def question() -> None:
            started = time.monotonic()
            with suppress(ServiceUnavailable):
                ask("nobody", "echo", 1, deadline=1.0)
            times.append(time.monotonic() - started)

        threads = [threading.Thread(target=question) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    # then each has its answer, "not available", within its deadline and a little
    assert len(times) == 10
    assert max(times) < 2.5


def test_connections_that_the_broker_closes_are_replaced(
    servers: Stack, link: Link, quick: Publisher, queue: topology.Queue, listen: Listen
) -> None:
    # given an idle publisher and a consumer
    seen = Seen()
    listening = listen(seen)
    quick.publish([_to(queue, "before")])
    wait_until(lambda: seen.ids == ["before"])
    # when an operator closes all connections
    assert servers.rabbitmqctl("close_all_connections", "for the test").returncode == 0
    # then the very next publish works, and the consumer comes back
    quick.publish([_to(queue, "after")])
    wait_until(lambda: "after" in seen.ids and listening.consumer.up)


@pytest.mark.long
@pytest.mark.slow
def test_a_restart_of_the_broker_under_load(servers: Stack, link: Link, program: Program) -> None:
    # given a service at work on a stream of events
    with channel(link) as opened:
        program.queue.declare(opened)
        opened.queue_unbind(program.queue.name, topology.EVENTS, "booking-held")
    program.env = {"TESTS_EACH": "0.05", "VALET_BATCH_SIZE": "20"}
    program.start()
    confirmed: list[str] = []
    ended = threading.Event()

    def stream() -> None:
        publisher, number = Publisher(link, 5), 0
        while not ended.is_set():
            ids = [f"n{number + i}" for i in range(10)]
            with suppress(MessagingError):
                publisher.publish([_to(program.queue, id) for id in ids])
                confirmed.extend(ids)
            number += 10
            time.sleep(0.05)
        publisher.close()

    feeder = threading.Thread(target=stream)
    feeder.start()
    wait_until(lambda: len(program.did("done")) > 50, 20)
    # when the broker goes
    servers.stop_part("rabbitmq")
    # then the service is alive but says that it is not ready
    wait_until(lambda: "503" in (program.problem() or ""), 5)
    assert program.page("live") is None
    # and when the broker is back, it connects by itself
    servers.start(["rabbitmq"])
    wait_until(lambda: program.problem() is None, 30)
    time.sleep(1)
    ended.set()
    feeder.join()
    # and every event that was confirmed to its publisher is handled
    wait_until(lambda: set(confirmed) <= set(program.did("done")), 20, "events are lost")
    wait_until(lambda: depth(link, program.queue.name) == 0)
    assert program.running
    assert program.stop() == 0


def _to(queue: topology.Queue, id: str) -> Outgoing:
    return Outgoing(topology.RETRY, queue.name, held(id), codec.STRUCTURED, mandatory=True)

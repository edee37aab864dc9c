"""The consumer as it runs in the services: nameko under eventlet, in processes that are killed and restarted."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from deploy.local.stack import Stack
from libs.messaging import topology
from libs.messaging.dead import DeadLetter
from libs.messaging.link import HEARTBEAT, Link
from tests.conftest import settings_of
from tests.integration.messaging.program import Program
from tests.integration.messaging.support import (
    channel,
    depth,
    flood,
    held,
    letters,
    post,
    wait_until,
)


@pytest.fixture(autouse=True)
def _queue_stands(link: Link, program: Program) -> None:
    # The queue collects before the service was ever started, and only what is put into it here.
    with channel(link) as opened:
        program.queue.declare(opened)
        opened.queue_unbind(program.queue.name, topology.EVENTS, "booking-held")


@pytest.fixture(scope="module", autouse=True)
def idle(servers: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, float]]:
    """A service with nothing to do, and since when (`time.monotonic`). It is idle while the other tests of this file run."""
    link = Link(settings_of(servers, "operator"), "tests")
    program = Program(servers, f"idle{os.getpid()}", tmp_path_factory.mktemp("idle"))
    with channel(link) as opened:
        program.queue.declare(opened)
        opened.queue_unbind(program.queue.name, topology.EVENTS, "booking-held")
    program.start()
    yield program, time.monotonic()
    program.kill()
    with channel(link) as opened:
        for name in (program.queue.name, topology.dead_queue(program.service), *program.question_queues):
            opened.queue_delete(name)


def test_killed_in_mid_handler_nothing_is_lost(link: Link, program: Program) -> None:
    # given a process that is in the middle of a batch
    program.env = {"TESTS_SLOW": "30"}
    flood(link, program.queue.name, [held(f"slow{i}") for i in range(20)])
    program.start()
    wait_until(lambda: len(program.did("begun")) >= 2, 15)  # how many batches they come in is not fixed
    # when it is killed
    program.kill()
    # then all of it is back, and the next process does it
    wait_until(lambda: depth(link, program.queue.name) == 20)
    program.env = {"TESTS_SLOW": "0"}
    program.start()
    wait_until(lambda: len(program.did("done")) == 20, 15)
    assert set(program.did("done")) == {f"slow{i}" for i in range(20)}
    assert program.stop() == 0
    assert depth(link, program.queue.name) == 0


def test_one_that_raises_leaves_its_neighbours_alone(link: Link, program: Program) -> None:
    # given a batch in which one event makes the service's method raise, with a person in the error's text
    flood(link, program.queue.name, [held(i) for i in ("a", "raise", "b")])
    # when it is handled
    program.start()
    # then the neighbours are done, and the log does not repeat the text
    wait_until(lambda: set(program.did("done")) == {"a", "b"}, 15)
    wait_until(lambda: program.did("begun").count("raise") >= 2, 5, "it did not come again")
    assert program.stop() == 0
    assert Counter(program.did("done")) == {"a": 1, "b": 1}
    log = program.log.read_text()
    assert "handler failed" in log
    assert "Ada" not in log
    assert "example.com" not in log


@pytest.mark.long
@pytest.mark.slow
def test_what_kills_the_process_is_given_up_and_its_neighbours_get_through(
    link: Link, program: Program, service: str
) -> None:
    # given an event among others that ends the process whenever it is handled
    ids = [*(f"a{i}" for i in range(30)), "die", *(f"b{i}" for i in range(30))]
    flood(link, program.queue.name, [held(i) for i in ids])
    found: list[DeadLetter] = []
    # when the process is started again each time, as Kubernetes does
    while not (found and set(program.did("done")) >= set(ids) - {"die"}):
        if not program.running:
            program.start(wait=False)
        time.sleep(0.1)
        found += [letter for letter, _ in letters(link, service)]
    # then it is given up after eight times, and nothing else is
    assert [(letter.reason, letter.size) for letter in found] == [("delivered-too-often", len(held("die")))]
    assert program.did("begun").count("die") == 8
    assert set(program.did("done")) == set(ids) - {"die"}
    # and from the third time on it was handled alone
    assert [line["batch"] for line in program.lines() if line["id"] == "die"][3:] == [1] * 5
    assert program.stop() == 0
    assert depth(link, program.queue.name) == 0


@pytest.mark.long
@pytest.mark.slow
def test_restarting_under_load_loses_and_repeats_nothing(link: Link, program: Program, service: str) -> None:
    # given a stream of numbered events, and a service that takes a moment for each batch
    program.env = {"TESTS_EACH": "0.15", "VALET_BATCH_SIZE": "20"}
    total = 2000
    flood(link, program.queue.name, [held(f"n{i}") for i in range(total)])
    # when it is restarted three times in the middle of it
    for _ in range(3):
        before = len(program.did("done"))
        program.start()
        wait_until(lambda past=before: len(program.did("done")) > past + 60, 15)  # type: ignore[misc]  # bound early
        started = time.monotonic()
        # then each time it ends in order, at once, and whatever it began is finished
        assert program.stop() == 0
        assert time.monotonic() - started < 5
        assert Counter(program.did("begun")) == Counter(program.did("done"))
    assert len(program.did("done")) < total, "the load was over before the restarts"
    program.env = {"TESTS_EACH": "0"}
    program.start()
    wait_until(lambda: len(program.did("done")) >= total, 20)
    # and in the end every event was handled exactly once
    assert Counter(program.did("done")) == Counter(f"n{i}" for i in range(total))
    assert program.stop() == 0
    assert letters(link, service) == []


def test_on_sigterm_the_batch_in_hand_is_finished(link: Link, program: Program) -> None:
    # given a batch that takes four seconds
    program.env = {"TESTS_SLOW": "4"}
    program.start()
    post(link, program.queue.name, [held("slow")])
    wait_until(lambda: program.did("begun") == ["slow"])
    # when the process is asked to end
    program.send(signal.SIGTERM)
    time.sleep(1.5)  # an idle eventlet looks at a signal when it wakes, within a second
    post(link, program.queue.name, [held("late")])
    # then it finishes what it has begun and takes nothing new
    assert program.wait(10) == 0
    assert program.did("done") == ["slow"]
    assert depth(link, program.queue.name) == 1


def test_what_does_not_end_in_time_goes_back(link: Link, program: Program) -> None:
    # given a batch that takes longer than the time to drain
    program.env = {"TESTS_SLOW": "60", "VALET_DRAIN_TIMEOUT": "1"}
    program.start()
    post(link, program.queue.name, [held("slow")])
    wait_until(lambda: program.did("begun") == ["slow"])
    # when the process is asked to end
    program.send(signal.SIGTERM)
    # then the message is back before Kubernetes would kill it, for another process
    wait_until(lambda: depth(link, program.queue.name) == 1, 8)


def test_it_lives_and_says_so_while_a_batch_is_slow(link: Link, program: Program) -> None:
    # given a handler that waits for something
    program.env = {"TESTS_SLOW": "5"}
    program.start()
    post(link, program.queue.name, [held("slow")])
    wait_until(lambda: program.did("begun") == ["slow"])
    # then the probes answer, and the metrics know of the batch
    assert program.page("live") is None
    assert program.page("ready") is None
    assert program.page("metrics") is None
    program.kill()


def test_an_idle_connection_lasts(link: Link, idle: tuple[Program, float]) -> None:
    # given a service with nothing to do for more than two heartbeats
    program, since = idle
    time.sleep(max(0.0, since + 2.5 * HEARTBEAT - time.monotonic()))
    # when something comes
    post(link, program.queue.name, [held("after")])
    # then it is still connected, and never was anything else
    wait_until(lambda: program.did("done") == ["after"], 2)
    assert "bus lost" not in program.log.read_text()

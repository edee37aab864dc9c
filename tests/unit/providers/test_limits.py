"""Never more than so many at once per mailbox, silence while it asks for it, and no memory of mailboxes nobody uses."""

import threading
import time
from contextlib import ExitStack

import pytest

from libs.providers.errors import RateLimited, TryLater, Unreachable
from libs.providers.limits import MICROSOFT, KeyedLimiter


def test_never_more_than_the_limit_per_key() -> None:
    limiter, lock = KeyedLimiter(4), threading.Lock()
    running: dict[str, int] = {}
    most: dict[str, int] = {}

    def work(key: str) -> None:
        with limiter.slot(key, 10):
            with lock:
                running[key] = running.get(key, 0) + 1
                most[key] = max(most.get(key, 0), running[key])
            time.sleep(0.01)
            with lock:
                running[key] -= 1

    threads = [threading.Thread(target=work, args=(key,)) for key in "ab" for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == {"a": 4, "b": 4}
    assert limiter.keys() == frozenset()


def test_whoever_waits_too_long_is_told() -> None:
    limiter = KeyedLimiter(1)
    with limiter.slot("a", 1):
        with pytest.raises(TryLater, match="mailbox-busy"), limiter.slot("a", 0.01):
            pytest.fail("a second one got in")
        with limiter.slot("b", 0.01):
            pass
    assert limiter.keys() == frozenset()


def test_two_kinds_of_processes_keep_to_graphs_four() -> None:
    assert 2 * MICROSOFT == 4


def limited(limiter: KeyedLimiter, key: str, error: Exception) -> None:
    with pytest.raises(type(error)), limiter.slot(key, 1):
        raise error


def test_a_mailbox_that_names_a_pause_is_left_alone_until_it_is_over() -> None:
    # given a mailbox that said 429 with Retry-After: 7, at the second 100
    now = [100.0]
    limiter = KeyedLimiter(clock=lambda: now[0])
    limited(limiter, "a", RateLimited("microsoft-429", 7))
    # then nobody gets in until 107, and asking does not make it longer
    for second, left in ((100.0, 7), (103.0, 4), (106.5, 0.5)):
        now[0] = second
        with pytest.raises(RateLimited, match="mailbox-paused") as caught, limiter.slot("a", 1):
            pytest.fail("got in during the pause")
        assert caught.value.retry_after == left
    with limiter.slot("b", 1):
        pass
    now[0] = 107.0
    with limiter.slot("a", 1):
        pass


def test_only_a_named_pause_counts() -> None:
    limiter = KeyedLimiter()
    limited(limiter, "a", RateLimited("microsoft-429"))
    limited(limiter, "a", Unreachable("microsoft-503", 60))
    limited(limiter, "a", TryLater("microsoft-507", 3600))
    with limiter.slot("a", 1):
        pass
    assert limiter.keys() == frozenset()


def test_pauses_that_are_over_are_forgotten() -> None:
    now = [0.0]
    limiter = KeyedLimiter(clock=lambda: now[0])
    limited(limiter, "a", RateLimited("microsoft-429", 7))
    now[0] = 8.0
    limited(limiter, "b", RateLimited("microsoft-429", 7))
    assert limiter.keys() == frozenset({"b"})


def test_the_shorter_of_two_pauses_does_not_cut_the_longer() -> None:
    now = [0.0]
    limiter = KeyedLimiter(clock=lambda: now[0])
    with ExitStack() as slots:
        slots.enter_context(pytest.raises(RateLimited))
        slots.enter_context(limiter.slot("a", 1))
        limited(limiter, "a", RateLimited("microsoft-429", 60))
        raise RateLimited("microsoft-429", 2)
    now[0] = 30.0
    with pytest.raises(RateLimited, match="mailbox-paused"), limiter.slot("a", 1):
        pytest.fail("got in during the pause")

"""Never more than four at once per mailbox, and no memory of mailboxes nobody uses."""

import threading
import time

import pytest

from libs.providers.errors import TryLater
from libs.providers.limits import KeyedLimiter


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

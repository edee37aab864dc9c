"""A service's master keys at start: with which words and code it ends, and what Prometheus and the log are told."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import eventlet
import pytest
from prometheus_client import REGISTRY

from libs.config.settings import Settings
from libs.crypto import keyfile, masters
from libs.crypto.errors import KeyringError, KeyServiceUnavailable
from libs.crypto.keyring import Keyring, Wrapped
from libs.messaging import keys
from libs.messaging.runtime import Runtime
from libs.testing.keys import INDEX, MemoryKeys, keyring
from libs.testing.leaks import LogCapture
from tests.unit.messaging.messages import NOWHERE


class Ended(Exception):
    """The process would have ended."""


@pytest.fixture(autouse=True)
def ending(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of the end of the process."""

    def stop(why: str, code: int = 78) -> NoReturn:
        raise Ended(f"{code} {why}")

    monkeypatch.setattr(keys, "stop", stop)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "booking.json"
    keyfile.create(file, masters.new(datetime.now(UTC)))
    return Settings.model_construct(keyring=file, keyring_seconds=0.001)


@pytest.mark.parametrize(
    ("fault", "ends"),
    [
        (KeyServiceUnavailable("AWS KMS does not answer"), "75 VALET_KEYRING: AWS KMS does not answer"),
        (KeyringError("others can read it"), "78 VALET_KEYRING: others can read it"),
        (PermissionError("/secret/place"), r"78 VALET_KEYRING: cannot be read \(PermissionError\)"),
    ],
)
def test_it_ends_with_a_code_that_says_whether_to_try_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, fault: Exception, ends: str
) -> None:
    def load(*_: object) -> Keyring:
        raise fault

    monkeypatch.setattr(Keyring, "load", load)
    with pytest.raises(Ended, match=f"^{ends}$"):
        keys.keyring("booking", settings)


def test_it_ends_where_the_stored_data_hang_on_other_keys() -> None:
    store = MemoryKeys()
    store.kept["ada"] = Wrapped("k-lost", b"blob")

    with pytest.raises(Ended, match=r"78 VALET_KEYRING: the key file lacks master key k-lost \(wraps 1 data key\)"):
        keys.rotation(keyring(), store)


def test_a_service_that_wraps_nothing_ends_with_another_installations_index() -> None:
    store = MemoryKeys()
    keys.same_index(keyring(index=INDEX), store)
    keys.same_index(keyring(index=INDEX), store)

    with pytest.raises(Ended, match="78 VALET_KEYRING: the key file's index is not the one"):
        keys.same_index(keyring(index=b"x" * 32), store)


def test_trouble_that_goes_on_is_logged_once_and_measured_until_it_is_over(settings: Settings, log: LogCapture) -> None:
    made = keys.keyring("booking", settings)
    unread = REGISTRY.get_sample_value("valet_data_keys_unreadable_total") or 0
    telling = keys.Telling()
    for _ in range(3):
        telling.unusable("cannot be read (FileNotFoundError)")
    telling.lost("a data key is wrapped with a master key that the keyring lacks")

    assert REGISTRY.get_sample_value("valet_keyring_unusable") == 1
    assert REGISTRY.get_sample_value("valet_data_keys_unreadable_total") == unread + 1
    assert log.text.count("key file unusable") == 1
    assert log.text.count("data key not unwrapped") == 1
    telling.read(keyring())
    assert REGISTRY.get_sample_value("valet_keyring_unusable") == 0
    assert REGISTRY.get_sample_value("valet_keyring_info", {"current": "k1"}) == 1
    assert REGISTRY.get_sample_value("valet_keyring_info", {"current": made.current}) is None


def test_the_age_of_every_key_is_told_and_those_that_are_gone_are_not() -> None:
    def age(name: str) -> float | None:
        return REGISTRY.get_sample_value("valet_keyring_key_age_seconds", {"key": name})

    year = datetime.now(UTC) - timedelta(days=365)
    both = {"k-old": b"o" * 32, "k-undated": b"u" * 32}
    telling = keys.Telling()
    telling.read(Keyring("k-old", both, INDEX, {"k-old": year.isoformat(), "k-undated": "not a date"}))

    assert age("k-old") == pytest.approx(365 * 86400, abs=60)
    assert age("k-undated") == pytest.approx(0, abs=60)
    telling.read(Keyring("k-undated", {"k-undated": b"u" * 32}, INDEX))
    assert age("k-old") is None
    assert age("k-undated") == pytest.approx(0, abs=60)


def test_the_key_file_is_looked_at_also_while_nothing_asks_for_a_key() -> None:
    class Watched:
        looks = 0

        @property
        def current(self) -> str:
            self.looks += 1
            return "k1"

    # given a process at rest, and its keys
    watched = Watched()
    # when time passes
    looked_at(watched, lambda: watched.looks > 1)
    # then
    assert watched.looks > 1


def test_the_key_file_is_looked_at_again_after_a_fault_of_our_own(log: LogCapture) -> None:
    class Faulty:
        looks = 0

        @property
        def current(self) -> str:
            self.looks += 1
            raise RuntimeError("ada@example.com")

    # given keys that cannot be looked at
    faulty = Faulty()
    # when time passes
    looked_at(faulty, lambda: faulty.looks > 1)
    # then it is tried again, and the log says of what kind the fault is, and no more
    assert faulty.looks > 1
    assert "RuntimeError" in log.text
    assert "ada@" not in log.text
    assert "Traceback" not in log.text


def looked_at(masters: Any, enough: Callable[[], bool]) -> None:
    """A process at rest with these keys, until it has looked often enough, or for a few seconds."""
    runtime = Runtime("booking", Settings(amqp_url=NOWHERE, keyring_seconds=0.01))
    runtime.masters = masters
    looking = eventlet.spawn(runtime.look_at_keys)
    with eventlet.Timeout(5, False):
        while not enough() and not looking.dead:
            eventlet.sleep(0.01)
    looking.kill()

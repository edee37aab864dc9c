"""Master keys that follow their file: at once where a data key asks for it, and never to something worse."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from libs.crypto import keyfile, masters
from libs.crypto.errors import KeyringError, KeyServiceUnavailable
from libs.crypto.keyfile import KeyFile, PlainFile
from libs.crypto.keyring import Keyring
from libs.crypto.watched import WatchedKeyring
from libs.testing.clock import Clock

EVERY = 10.0
DATA_KEY = b"d" * 32


class Told:
    """What was heard of the keys."""

    def __init__(self) -> None:
        self.read_: list[str] = []
        self.unusable_: list[str] = []
        self.lost_: list[str] = []

    def read(self, keys: Keyring) -> None:
        self.read_.append(keys.current)

    def unusable(self, why: str) -> None:
        self.unusable_.append(why)

    def lost(self, why: str) -> None:
        self.lost_.append(why)


class Desk:
    """A key file, a service that watches it, and whoever changes it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "booking.json"
        self.clock, self.told = Clock(), Told()
        self.load: Callable[[Path], Keyring] = Keyring.load
        self.loads = 0
        keyfile.create(self.file, masters.new(self.clock()))
        self.keys = WatchedKeyring(self.file, self._load, EVERY, self.told, self.clock.seconds)

    def _load(self, path: Path) -> Keyring:
        self.loads += 1
        return self.load(path)

    def write(self, change: Callable[[KeyFile], KeyFile]) -> KeyFile:
        with keyfile.changing(self.file) as write:
            changed = change(keyfile.read(self.file))
            write(changed)
        return changed

    def add(self, *, use: bool = True) -> str:
        """Another master key; its name."""
        self.clock.move(timedelta(milliseconds=1))
        name = ""

        def added(file: KeyFile) -> KeyFile:
            nonlocal name
            changed, name = masters.added(file, self.clock())
            return masters.using(changed, name) if use else changed

        self.write(added)
        return name

    def wait(self, seconds: float = EVERY) -> None:
        self.clock.move(timedelta(seconds=seconds))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_change_is_seen_after_the_interval_and_not_before(desk: Desk) -> None:
    old = desk.keys.current
    new = desk.add()

    assert desk.keys.current == old
    desk.wait()
    assert desk.keys.current == new
    assert sorted(desk.keys.known) == sorted([old, new])
    assert desk.told.read_ == [old, new]


def test_a_file_that_stays_is_not_read_again(desk: Desk) -> None:
    for _ in range(5):
        desk.wait()
        assert desk.keys.wrap(DATA_KEY, "ada")
    assert desk.loads == 1


def test_a_data_key_that_names_an_unknown_master_has_the_file_read_at_once(desk: Desk) -> None:
    # given another replica, which has read the changed file already and wraps with the new master key
    desk.add()
    wrapped = Keyring.load(desk.file).wrap(DATA_KEY, "ada")

    # then this one opens it, long before its next look
    assert desk.keys.unwrap(wrapped, "ada") == DATA_KEY
    assert desk.told.lost_ == []


def test_where_the_file_has_not_come_yet_it_is_tried_again_each_time(desk: Desk) -> None:
    # given a master key that this replica's file does not have yet
    before = desk.file.read_bytes()
    desk.add()
    wrapped, after = Keyring.load(desk.file).wrap(DATA_KEY, "ada"), desk.file.read_bytes()
    desk.file.write_bytes(before)

    with pytest.raises(KeyringError, match="the keyring lacks"):
        desk.keys.unwrap(wrapped, "ada")
    assert len(desk.told.lost_) == 1
    # when it comes
    desk.file.write_bytes(after)
    desk.wait(1)
    assert desk.keys.unwrap(wrapped, "ada") == DATA_KEY


def swapped(file: KeyFile) -> KeyFile:
    assert isinstance(file, PlainFile)
    return PlainFile(
        format=file.format, current=file.current, keys={file.current: keyfile.encoded(b"o" * 32)}, index=file.index
    )


SPOILT: dict[str, tuple[Callable[[Desk], object], str]] = {
    "gone": (lambda desk: desk.file.unlink(), "FileNotFoundError"),
    "torn": (lambda desk: desk.file.write_bytes(desk.file.read_bytes()[:40]), "not of the form"),
    "open to others": (lambda desk: desk.file.chmod(0o644), "others can read"),
    "another installation's": (lambda desk: desk.write(lambda _: masters.new(desk.clock())), "another index"),
    "another key": (lambda desk: desk.write(swapped), "another master key under the name"),
}


@pytest.mark.parametrize("how", list(SPOILT))
def test_a_file_that_got_worse_changes_nothing_but_is_told(desk: Desk, how: str) -> None:
    wrapped, good = desk.keys.wrap(DATA_KEY, "ada"), desk.file.read_bytes()
    spoil, says = SPOILT[how]
    spoil(desk)
    desk.wait()

    assert desk.keys.unwrap(wrapped, "ada") == DATA_KEY
    (why,) = desk.told.unusable_
    assert says in why
    # when it is put right
    desk.file.write_bytes(good)
    desk.file.chmod(0o600)
    new = desk.add()
    desk.wait()
    assert desk.keys.current == new


def test_a_key_service_that_is_away_later_is_noticed_by_nobody_who_books(desk: Desk) -> None:
    # given keys that were opened at start
    def away(_: Path) -> Keyring:
        raise KeyServiceUnavailable("AWS KMS does not answer")

    desk.load = away
    for _ in range(3):
        desk.wait()
        assert desk.keys.unwrap(desk.keys.wrap(DATA_KEY, "ada"), "ada") == DATA_KEY
    assert desk.loads == 1, "it is not even asked"


def test_many_who_ask_for_an_unknown_master_do_not_storm_a_key_service_that_is_away(desk: Desk) -> None:
    desk.add()
    wrapped = Keyring.load(desk.file).wrap(DATA_KEY, "ada")

    def away(_: Path) -> Keyring:
        raise KeyServiceUnavailable("AWS KMS does not answer")

    desk.load = away
    for _ in range(100):
        with pytest.raises(KeyringError, match="the keyring lacks"):
            desk.keys.unwrap(wrapped, "ada")
    assert desk.loads == 2


def test_secrets_for_other_purposes_stay(desk: Desk) -> None:
    before = desk.keys.derive("person-index")
    desk.add()
    desk.wait()

    assert desk.keys.derive("person-index") == before
    assert len(desk.keys.made) == 2

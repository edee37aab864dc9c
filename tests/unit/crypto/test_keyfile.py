"""Key files on disk: whom they are kept from, and that changing one loses nothing."""

import os
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest

from libs.crypto import keyfile, masters
from libs.crypto.errors import KeyringError
from libs.crypto.keyfile import PlainFile
from libs.testing.clock import Clock

ROOT, US, STRANGER = 0, 1000, 1001
OWN, OTHER = 50, 60
"""Groups: one that the process is in, and one that it is not in."""


def made(folder: Path, mode: int = 0o600) -> Path:
    file = folder / "booking.json"
    keyfile.create(file, masters.new(Clock()()))
    file.chmod(mode)
    return file


def found(mode: int, user: int = US, group: int = OWN) -> os.stat_result:
    return os.stat_result((stat.S_IFREG | mode, 1, 1, 1, user, group, 1, 1, 1, 1))


class TestWhoMayRead:
    @pytest.mark.parametrize(
        ("mode", "user", "group"),
        [
            (0o600, US, OTHER),
            (0o400, US, OTHER),
            (0o600, STRANGER, OTHER),
            (0o440, ROOT, OWN),  # a Secret of Kubernetes, with fsGroup
            (0o640, US, OWN),
        ],
    )
    def test_its_owner_and_the_services_own_group(self, mode: int, user: int, group: int) -> None:
        keyfile.refuse_shared(found(mode, user, group), US, {OWN})

    @pytest.mark.parametrize(
        ("mode", "user", "group", "says"),
        [
            *((0o600 | bits, US, OWN, "others can read") for bits in range(1, 8)),
            (0o660, US, OWN, "its group can write"),
            (0o620, ROOT, OWN, "its group can write"),
            (0o440, ROOT, OTHER, "not the service's own"),
            (0o440, STRANGER, OWN, "not the service's own"),
            (0o610, US, OTHER, "not the service's own"),
        ],
    )
    def test_nobody_else(self, mode: int, user: int, group: int, says: str) -> None:
        with pytest.raises(KeyringError, match=says):
            keyfile.refuse_shared(found(mode, user, group), US, {OWN})

    @pytest.mark.parametrize("mode", [0o644, 0o660, 0o604])
    def test_a_real_file(self, mode: int, tmp_path: Path) -> None:
        file = made(tmp_path, mode)

        with pytest.raises(KeyringError, match="chmod 600"):
            keyfile.read(file)

    def test_a_link_is_followed_to_what_counts(self, tmp_path: Path) -> None:
        (tmp_path / "..data").mkdir()
        file = made(tmp_path / "..data")
        link = tmp_path / "keyring.json"
        link.symlink_to(file)

        assert keyfile.read(link) == keyfile.read(file)
        file.chmod(0o644)
        with pytest.raises(KeyringError, match="others can read"):
            keyfile.read(link)

    @pytest.mark.parametrize(("mode", "fits"), [(0o777, False), (0o702, False), (0o1777, True), (0o755, True)])
    @pytest.mark.parametrize("by_link", [False, True])
    def test_not_in_a_folder_where_everybody_can_replace_it(
        self, mode: int, fits: bool, by_link: bool, tmp_path: Path
    ) -> None:
        (tmp_path / "keys").mkdir()
        file = made(tmp_path / "keys")
        if by_link:
            (tmp_path / "link.json").symlink_to(file)
        (tmp_path / "keys").chmod(mode)

        def read() -> keyfile.KeyFile:
            return keyfile.read(tmp_path / "link.json" if by_link else file)

        if fits:
            assert read()
            return
        with pytest.raises(KeyringError, match="everybody can replace"):
            read()


class TestChanging:
    @pytest.mark.parametrize("mode", [0o600, 0o440])
    def test_the_mode_stays_and_the_link_stays_a_link(self, mode: int, tmp_path: Path) -> None:
        file, link = made(tmp_path, mode), tmp_path / "link.json"
        link.symlink_to(file.name)

        with keyfile.changing(link) as write:
            changed, name = masters.added(keyfile.read(link), Clock()())
            write(changed)

        assert link.is_symlink()
        assert stat.S_IMODE(file.stat().st_mode) == mode
        assert name in keyfile.read(link).keys
        assert sorted(tmp_path.iterdir()) == sorted([file, link]), "nothing else is left"

    def test_two_who_change_it_at_once_both_do(self, tmp_path: Path) -> None:
        file = made(tmp_path)

        def add() -> None:
            with keyfile.changing(file) as write:
                write(masters.added(keyfile.read(file), Clock()())[0])

        threads = [Thread(target=add) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(keyfile.read(file).keys) == 9

    def test_a_failure_leaves_the_old_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = made(tmp_path)
        before = file.read_bytes()

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="space"), keyfile.changing(file) as write:
            write(masters.added(keyfile.read(file), Clock()())[0])
        assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [before]

    def test_a_new_one_replaces_none(self, tmp_path: Path) -> None:
        file = made(tmp_path)

        with pytest.raises(FileExistsError):
            keyfile.create(file, masters.new(Clock()()))
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


class TestSteps:
    def test_from_one_master_key_to_the_next(self) -> None:
        clock = Clock()
        first = masters.new(clock())
        old = first.current
        second, name = masters.added(first, clock.move(timedelta(days=90)))

        assert (second.current, set(second.keys)) == (old, {old, name})
        assert masters.unused(second) == name
        third = masters.using(second, name)
        assert masters.unused(third) is None
        fourth = masters.without(third, old)
        assert (list(fourth.keys), list(fourth.made)) == ([name], [name])
        assert fourth.index == first.index

    @pytest.mark.parametrize(
        ("step", "says"),
        [
            (lambda file: masters.using(file, "k9"), "no master key k9"),
            (lambda file: masters.without(file, "k9"), "no master key k9"),
            (lambda file: masters.without(file, file.current), "use another one first"),
        ],
    )
    def test_a_step_that_would_lose_keys_is_refused(self, step: Callable[[PlainFile], object], says: str) -> None:
        with pytest.raises(KeyringError, match=says):
            step(masters.new(Clock()()))

    def test_no_name_comes_twice(self) -> None:
        assert len({masters.new(Clock()()).current for _ in range(50)}) == 50

    def test_a_file_without_ages_is_a_file(self) -> None:
        plain = masters.new(Clock()())
        text = keyfile._text(PlainFile(format=plain.format, current=plain.current, keys=plain.keys, index=plain.index))

        assert b"made" not in text
        assert masters.unused(masters.added(keyfile.parse(text), Clock()())[0]) is not None

    def test_its_repr_shows_no_key(self) -> None:
        plain = masters.new(Clock()())

        assert plain.index not in repr(plain)

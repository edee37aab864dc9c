"""`valet keys` without a bus: which files are meant, what is said of them, and what is refused."""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.cli import environment, main
from deploy.cli.errors import Misuse, Trouble
from deploy.cli.keys import rotation, views
from deploy.cli.keys.replicas import Page, Replicas, Status
from deploy.cli.keys.rotation import Place, Rewrapped
from deploy.cli.keys.views import Standing, Turn
from libs.config.settings import Settings
from libs.crypto import keyfile, masters

NOW = datetime(2030, 5, 17, tzinfo=UTC)
SETTINGS = Settings.model_construct()
EARLIER = {"k1": "2030-01-07T09:00:00+00:00", "k2": "2030-05-16T12:00:00+00:00"}


class Pretended(Replicas):
    """Replicas that say what a test has them say, and read the file when they are asked."""

    def __init__(self, file: Path | None = None, *, wrapped: int = 0, silent: int = 0, blind: bool = False) -> None:
        self.file, self.left, self.silent = file, wrapped, silent
        self.frozen = keyfile.read(file) if blind and file else None
        self.first = keyfile.read(file).current if file else "k1"

    def heard(self, service: str) -> tuple[Sequence[Status], int]:
        assert self.file
        read = self.frozen or keyfile.read(self.file)
        wrapped = {self.first: self.left} if self.left else {}
        return [Status("one:1", read.current, tuple(read.keys), dict(read.made), wrapped)], 1 + self.silent

    def rewrap(self, service: str, after: str, seconds: float) -> Page:
        done = min(2, self.left)
        self.left -= done
        return Page(done, self.left, next="p" if self.left else None)


@pytest.fixture
def at(tmp_path: Path) -> Place:
    keyfile.create(tmp_path / "booking.json", masters.new(datetime.now(UTC) - timedelta(days=365)))
    return Place("booking", tmp_path / "booking.json")


def names(place: Place) -> list[str]:
    return list(keyfile.read(place.file).keys)


class TestWhichFile:
    @pytest.mark.parametrize(
        ("text", "service", "file"),
        [("booking=/k/file", "booking", "/k/file"), ("/k/auth.json", "auth", "/k/auth.json")],
    )
    def test_it_is_named_with_its_service_or_after_it(self, text: str, service: str, file: str) -> None:
        assert rotation.place(text) == Place(service, Path(file))

    @pytest.mark.parametrize(
        ("text", "says"), [("keyring.json", "no service with data keys"), ("calendar-writer=x", "nothing to rotate")]
    )
    def test_one_that_wraps_nothing_is_refused(self, text: str, says: str) -> None:
        with pytest.raises(Misuse, match=says):
            rotation.place(text)

    def test_without_any_it_is_said_how_to_name_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("VALET_KEYRINGS", raising=False)
        with pytest.raises(Misuse, match="no key file is named"):
            rotation.places([], SETTINGS)
        monkeypatch.setenv("VALET_KEYRINGS", "auth=/k/a,calendar-writer=/k/c,booking=/k/b")
        assert rotation.places([], SETTINGS) == [Place("auth", Path("/k/a")), Place("booking", Path("/k/b"))]

    def test_of_the_local_stack_they_are_known(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("VALET_KEYRINGS", raising=False)
        for folder in ("certs", "keys"):
            (tmp_path / folder).mkdir()
        for file in ("env", "keys/auth.json", "keys/booking.json", "keys/calendar-writer.json"):
            (tmp_path / file).write_text("")
        settings = SETTINGS.model_copy(update={"ca_bundle": tmp_path / "certs" / "ca-bundle.pem"})
        assert [place.service for place in rotation.places([], settings)] == ["auth", "booking"]


class TestRotating:
    def test_a_new_key_is_used_and_everything_wrapped_by_it(self, at: Place) -> None:
        (old,), steps = names(at), []
        name, ended = rotation.rotate(at, SETTINGS, Pretended(at.file, wrapped=5), 0, lambda *step: steps.append(step))

        assert (names(at), keyfile.read(at.file).current) == ([old, name], name)
        assert ended == Rewrapped(5, 0, 0)
        assert steps == [(2, 3), (4, 1), (5, 0)]

    def test_replicas_that_do_not_see_the_new_key_keep_it_from_being_used(self, at: Place) -> None:
        (old,), blind = names(at), Pretended(at.file, blind=True)

        with pytest.raises(Trouble, match="not every replica of booking knows the new master key"):
            rotation.rotate(at, SETTINGS, blind, 0, lambda *_: None)
        assert keyfile.read(at.file).current == old
        # and the second try goes on with the key that was added
        name, _ = rotation.rotate(at, SETTINGS, Pretended(at.file), 0, lambda *_: None)
        assert names(at) == [old, name]

    def test_a_replica_that_does_not_answer_keeps_it_from_being_used(self, at: Place) -> None:
        (old,) = names(at)

        with pytest.raises(Trouble, match="not every replica"):
            rotation.rotate(at, SETTINGS, Pretended(at.file, silent=1), 0, lambda *_: None)
        assert keyfile.read(at.file).current == old

    def test_another_services_file_is_not_touched(self, at: Place, tmp_path: Path) -> None:
        keyfile.create(tmp_path / "other.json", masters.new(NOW))
        before = (tmp_path / "other.json").read_bytes()

        with pytest.raises(Trouble, match="is not the key file of booking"):
            rotation.rotate(Place("booking", tmp_path / "other.json"), SETTINGS, Pretended(at.file), 0, lambda *_: None)
        assert (tmp_path / "other.json").read_bytes() == before


class TestRetiring:
    def rotated(self, at: Place) -> tuple[str, str]:
        (old,) = names(at)
        new = rotation.add(at, SETTINGS)
        rotation.use(at, new)
        return old, new

    def test_a_key_that_nothing_needs_is_taken_out(self, at: Place) -> None:
        old, new = self.rotated(at)
        rotation.retire(at, old, Pretended(at.file))
        assert names(at) == [new]

    def test_a_key_that_wraps_something_stays(self, at: Place) -> None:
        needing = Pretended(at.file, wrapped=3)
        old, new = self.rotated(at)

        with pytest.raises(Trouble, match=f"{old} still wraps 3 data keys of booking"):
            rotation.retire(at, old, needing)
        with pytest.raises(Trouble, match=f"wraps new data keys with {new}"):
            rotation.retire(at, new, needing)
        with pytest.raises(Trouble, match="only 1 of 2 replicas"):
            rotation.retire(at, old, Pretended(at.file, silent=1))
        assert names(at) == [old, new]

    def test_what_was_wrapped_between_the_answers_of_two_replicas_counts(self, at: Place) -> None:
        # given a replica that answered first, and one that wrapped something with the old key after that
        old, new = self.rotated(at)
        first = Status("one:1", new, (old, new))
        second = Status("two:1", new, (old, new), wrapped={old: 1})

        class Two(Pretended):
            def heard(self, service: str) -> tuple[Sequence[Status], int]:
                return [first, second], 2

        with pytest.raises(Trouble, match=f"{old} still wraps 1 data key of booking"):
            rotation.retire(at, old, Two(at.file))
        assert names(at) == [old, new]


class TestWords:
    def standing(self, *current: str, wrapped: dict[str, int] | None = None, running: int = 1) -> Standing:
        found = [Status(f"{n}", name, ("k1", "k2"), EARLIER, wrapped or {}) for n, name in enumerate(current)]
        return Standing(found, running)

    def test_what_is_unfinished_is_said(self) -> None:
        assert list(self.standing("k2", wrapped={"k2": 4}).unfinished()) == []
        (line,) = self.standing("k2", wrapped={"k1": 3, "k2": 4}).unfinished()
        assert line.startswith("3 data keys are not wrapped by k2 yet")
        (line,) = self.standing("k1", wrapped={"k1": 3}).unfinished()
        assert line.startswith("k2 was added and is not used yet")
        assert any("different key files" in line for line in self.standing("k1", "k2", running=2).unfinished())
        assert "1 of 2 replicas" in next(self.standing("k2", running=2).unfinished())

    def test_the_ages_are_shown(self) -> None:
        assert [views.age(EARLIER.get(name), NOW) for name in ("k1", "k2", "k0")] == [
            "129 days",
            "12 hours",
            "unknown",
        ]

    def test_a_master_key_that_only_data_keys_name_is_shown_too(self) -> None:
        assert self.standing("k2", wrapped={"k0": 1}).known == ["k0", "k1", "k2"]

    def test_what_is_left_is_said(self) -> None:
        assert "valet keys rewrap booking" in list(Turn("booking", "k2", Rewrapped(1, 2, 0)).lines())[-1]
        assert "lost-key-file" in list(Turn("booking", None, Rewrapped(1, 2, 2)).lines())[-1]


class TestCommand:
    @pytest.fixture(autouse=True)
    def no_settings(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """None of a local stack that may be there."""
        for name in [name for name in os.environ if name.startswith("VALET_")]:
            monkeypatch.delenv(name)
        monkeypatch.setattr(environment, "REPOSITORY", tmp_path)
        (tmp_path / "work").mkdir()
        monkeypatch.chdir(tmp_path / "work")

    def test_a_new_file_is_made_and_none_replaced(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "booking.json"

        assert main.main(["keys", "new", str(file), "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said == {"file": str(file), "form": "valet-keyring-1", "current": keyfile.read(file).current}
        before = file.read_bytes()
        assert main.main(["keys", "new", str(file)]) == 1
        assert "replacing a key file loses what it sealed" in capsys.readouterr().err
        assert file.read_bytes() == before

    def test_a_kms_file_needs_a_service_and_an_arn(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        words = ["keys", "new", str(tmp_path / "x.json"), "--kms", "nonsense"]

        assert main.main(words) == 2
        assert main.main([*words, "--service", "booking"]) == 1
        assert "by its ARN" in capsys.readouterr().err
        assert list(tmp_path.rglob("*.json")) == []

    def test_a_file_that_others_can_read_is_not_worked_on(self, at: Place, capsys: pytest.CaptureFixture[str]) -> None:
        at.file.chmod(0o644)

        with pytest.raises(Trouble, match="others can read the key file"):
            rotation.add(at, SETTINGS)
        assert capsys.readouterr().out == ""

"""How the images are asked for: which builder, with which words."""

import subprocess
from pathlib import Path

import pytest

from deploy.images import __main__ as command
from deploy.images import builders

IMAGE = builders.Image("auth", "valet-auth:1", "1", "abc", "2026-01-02T03:04:05Z")


def answering(*working: str) -> object:
    """A stand-in for `subprocess.run`: `<builder> info` answers where it works."""

    def run(words: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess(words, 0 if words[0] in working else 1)

    return run


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine on which all builders are installed."""
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    return monkeypatch


def test_a_builder_that_does_not_answer_is_passed_over(here: pytest.MonkeyPatch) -> None:
    # given docker's command without its daemon
    here.setattr("subprocess.run", answering("buildah"))
    # then another builds
    assert builders.find_builder() == "buildah"


def test_the_first_that_works_builds(here: pytest.MonkeyPatch) -> None:
    here.setattr("subprocess.run", answering("docker", "buildah"))
    assert builders.find_builder() == "docker"


def test_the_wanted_one_or_none(here: pytest.MonkeyPatch) -> None:
    here.setattr("subprocess.run", answering("docker"))
    with pytest.raises(builders.NoBuilder, match="podman info"):
        builders.find_builder("podman")


def test_without_a_builder_it_says_what_to_install(
    here: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here.setattr("subprocess.run", answering())
    assert command.main(["auth"]) == 1
    assert "docker, podman, buildah" in capsys.readouterr().err


def test_an_image_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["calender-writer"]) == 2
    assert "calender-writer" in capsys.readouterr().err


@pytest.mark.parametrize("builder", builders.BUILDERS)
def test_every_builder_is_told_target_version_revision_and_time(builder: str) -> None:
    words = " ".join(builders.build_command(builder, IMAGE))
    assert "--file deploy/Dockerfile --target auth" in words
    assert "--build-arg VERSION=1 --build-arg REVISION=abc" in words
    assert "--build-arg CREATED=2026-01-02T03:04:05Z" in words
    assert "315532800" in words
    assert words.endswith("--tag valet-auth:1 .")
    assert "PYTHON_IMAGE" not in words


def test_another_base_and_more_options_are_handed_on() -> None:
    given = command.parser().parse_args(["booking", "--base", "mine:1", "--options", "--pull -v '/a b:/c'"])
    [image] = command.images(given)
    words = builders.build_command("buildah", image)
    assert "PYTHON_IMAGE=mine:1" in words
    assert words[-4:] == ["--pull", "-v", "/a b:/c", "."]


def test_all_five_with_the_projects_version_and_the_commit() -> None:
    made = command.images(command.parser().parse_args(["--registry", "ghcr.io/example/"]))
    assert [image.name for image in made] == [f"ghcr.io/example/valet-{t}:{command.version()}" for t in command.TARGETS]
    assert {image.revision for image in made} == {command.revision()}


def test_outside_a_checkout_the_revision_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command, "REPOSITORY", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert (command.revision(), command.created()) == ("unknown", "1970-01-01T00:00:00Z")


def test_a_failed_build_ends_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("subprocess.run", answering())
    assert command.build("buildah", [IMAGE, IMAGE]) == 1
    assert capsys.readouterr().out.count("building") == 1

"""What runs here is told."""

from importlib.metadata import PackageNotFoundError

import pytest

from libs.telemetry import build


def test_the_revision_is_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(build.REVISION, "0123abc")
    told = build.described("booking")

    assert (told["service"], told["revision"]) == ("booking", "0123abc")
    assert told["version"][0].isdigit()


def test_what_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> str:
        raise PackageNotFoundError

    monkeypatch.delenv(build.REVISION, raising=False)
    monkeypatch.setattr(build, "version", missing)

    assert build.described("auth") == {"service": "auth", "version": "unknown", "revision": "unknown"}

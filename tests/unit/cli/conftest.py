"""What the tests of the `valet` command share."""

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from deploy.cli import environment


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No settings but those that a test gives; what a command takes over from a file ends with the test."""
    with mock.patch.dict(os.environ):
        for name in [name for name in os.environ if name.startswith("VALET_")]:
            del os.environ[name]
        monkeypatch.setenv("COLUMNS", "200")  # as wide wherever the tests run
        monkeypatch.setattr(environment, "REPOSITORY", tmp_path)
        monkeypatch.chdir(tmp_path)
        yield

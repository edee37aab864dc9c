"""Shared by the tests of this folder."""

from collections.abc import Iterator

import pytest

from libs.testing.leaks import LogCapture, captured_logs


@pytest.fixture
def log() -> Iterator[LogCapture]:
    """Everything that is logged during the test."""
    with captured_logs() as capture:
        yield capture

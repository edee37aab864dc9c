"""Looking at a page: why nothing came, in words."""

import socket
import ssl
from http.client import RemoteDisconnected
from pathlib import Path
from typing import Any

import pytest

from deploy.cli import web


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(), "nothing listens there"),
        (TimeoutError(), "no answer"),
        (socket.gaierror(-2, "x"), "the host name is not known"),
        (ssl.SSLCertVerificationError(), "its certificate is not accepted"),
        (RemoteDisconnected(""), "no connection (RemoteDisconnected)"),
    ],
)
def test_why_nothing_came_is_said(error: Exception, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(socket, "create_connection", fails)
    with pytest.raises(web.Unanswered) as caught:
        web.get("http://booking.example/ready", None, 1)
    assert str(caught.value) == words


@pytest.mark.parametrize("url", ["https://booking.example:port", "http://booking.example:99999", "http://a b/c d"])
def test_what_is_no_address_is_not_asked(url: str) -> None:
    with pytest.raises(web.Unanswered, match="cannot be asked"):
        web.get(url, None, 1)


def test_authorities_that_are_not_there_are_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(web.Unanswered, match="FileNotFoundError"):
        web.get("https://booking.example", tmp_path / "ca.pem", 1)

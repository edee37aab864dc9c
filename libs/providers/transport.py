"""HTTPS with one deadline for the whole exchange: status line, headers and body, not each read by itself.

The time-outs of `requests` count from one byte to the next, so an answer of one byte a second would never end. Here every
read from the socket is given what is left until the deadline. With plain threads that is all: OpenSSL's own calls keep it for
a whole handshake or record. Under eventlet's monkey patch they start counting anew with every few bytes, so a timer ends the
exchange as well.
"""

import http.client
import io
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO, Any

import eventlet
import requests
from eventlet.patcher import is_monkey_patched
from requests.adapters import HTTPAdapter
from urllib3 import HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPSConnection

KEPT = 128
"""Connections to one host that are kept: as many as a service has exchanges side by side, for a handshake costs more than those."""
DEADLINE: ContextVar[float] = ContextVar("valet_provider_deadline")
"""The monotonic instant (seconds) at which the current exchange must be over."""


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """One exchange, over by this monotonic instant (seconds). What is still under way then gets a TimeoutError."""
    marker = DEADLINE.set(deadline)
    left = max(0.0, deadline - time.monotonic())
    timer = eventlet.Timeout(left, TimeoutError("deadline")) if is_monkey_patched("socket") else None
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()
        DEADLINE.reset(marker)


class _DeadlineReader(io.RawIOBase):
    """The raw side of a socket's file. Raises TimeoutError once the deadline has passed."""

    def __init__(self, sock: ssl.SSLSocket, raw: io.RawIOBase, deadline: float) -> None:
        super().__init__()
        self._sock = sock
        self._raw = raw
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _DeadlineSocket:
    """Just enough of a socket for `http.client.HTTPResponse`, which only asks for a file to read from."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self._sock = sock

    def makefile(self, _mode: str) -> IO[bytes]:
        raw = self._sock.makefile("rb", buffering=0)
        return io.BufferedReader(_DeadlineReader(self._sock, raw, DEADLINE.get()))


class _DeadlineResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(_DeadlineSocket(sock), *args, **kwargs)  # type: ignore[arg-type]  # only makefile is used


class _DeadlineConnection(HTTPSConnection):
    response_class = _DeadlineResponse


class _DeadlinePool(HTTPSConnectionPool):
    ConnectionCls = _DeadlineConnection


class Transport(HTTPAdapter):
    """HTTPS with pooled connections: without the retries, cookies, redirects and proxies of a session.

    `ca_bundle` is a file of the authorities to trust; None means the usual public ones.
    """

    def __init__(self, ca_bundle: str | None) -> None:
        super().__init__(pool_connections=8, pool_maxsize=KEPT, max_retries=0)
        self._verify = ca_bundle if ca_bundle is not None else True

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **options)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = {"https": _DeadlinePool}

    def exchange(self, request: requests.PreparedRequest, connect: float, read: float) -> requests.Response:
        """Send, and return as soon as the status and the headers are there; the time-outs are in seconds. Raises RequestException,
        urllib3's HTTPError, TimeoutError or OSError."""
        return self.send(request, stream=True, timeout=(connect, read), verify=self._verify)

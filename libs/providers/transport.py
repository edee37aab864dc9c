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
from http.cookiejar import DefaultCookiePolicy
from typing import IO, Any

import eventlet
import requests
from eventlet.patcher import is_monkey_patched
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from urllib3 import HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPSConnection

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


class _DeadlineAdapter(HTTPAdapter):
    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **options)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = {"https": _DeadlinePool}


def new_session(ca_bundle: str | None) -> requests.Session:
    """A session for https only, with pooled connections, no retries, no cookies, and deaf to the environment's proxies.

    `ca_bundle` is a file of the authorities to trust; None means the usual public ones.
    """
    session = requests.Session()
    session.trust_env = False
    session.verify = ca_bundle if ca_bundle is not None else True
    session.cookies = RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    session.adapters.clear()
    session.mount("https://", _DeadlineAdapter(pool_connections=8, pool_maxsize=32, max_retries=0))
    return session

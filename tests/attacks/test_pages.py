"""The pages that hosts see, asked by clients that mean no good: who name another host, hide a request, or never end one."""

import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.attacks.rows import LONG, long_form, tried
from tests.e2e.world import World

EVIL = "evil.example"
CROWD = 120 if LONG else 60
LONGEST = 40.0
"""Seconds; the server cuts off after 15 (deploy/README.md, what may grow)."""


@contextmanager
def client(world: World) -> Iterator[ssl.SSLSocket]:
    """A connection to the pages."""
    parts = urlsplit(world.stack.urls()["pages"])
    context = ssl.create_default_context(cafile=world.ca)
    plain = socket.create_connection((str(parts.hostname), int(parts.port or 0)), 30)
    with context.wrap_socket(plain, server_hostname=parts.hostname) as secured:
        yield secured


def answer(world: World, raw: bytes) -> bytes:
    """What comes back until the server closes."""
    found = b""
    with client(world) as sent, suppress(OSError):
        sent.sendall(raw)
        while part := sent.recv(4096):
            found += part
    return found


@pytest.fixture
def link(world: World) -> str:
    """The path of a fresh link."""
    return str(urlsplit(world.ask("auth", "connect_link", "dr-pages", None)["url"]).path)


HOSTS = {
    "Host": f"Host: {EVIL}",
    "Host twice": f"Host: localhost\r\nHost: {EVIL}",
    "X-Forwarded-Host": f"Host: localhost\r\nX-Forwarded-Host: {EVIL}\r\nX-Forwarded-Proto: http",
    "Forwarded": f"Host: localhost\r\nForwarded: host={EVIL};proto=http",
    "X-Original-URL": f"Host: localhost\r\nX-Original-URL: /\r\nX-Rewrite-URL: https://{EVIL}/",
    "port and name": f"Host: localhost:443@{EVIL}",
}


@tried("+3", HOSTS)
def test_another_host_in_the_headers(world: World, link: str, how: str) -> None:
    # when a browser is made to set out with another host in its headers
    raw = f"POST {link}/google HTTP/1.1\r\n{how}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
    told = answer(world, raw).decode(errors="replace")
    # then nothing in the answer leads there, and the provider is told of our own address alone
    assert EVIL not in told
    found = re.search(r"(?im)^location: (\S+)", told)
    if found:
        public = world.stack.env("auth")["VALET_PUBLIC_URL"]
        assert parse_qs(urlsplit(found[1]).query)["redirect_uri"] == [f"{public}/oauth/google/callback"]


@tried("+3", {"whole address": f"https://{EVIL}", "userinfo": f"https://localhost@{EVIL}"})
def test_a_whole_address_in_the_request_line(world: World, link: str, how: str) -> None:
    told = answer(world, f"GET {how}{link} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert EVIL.encode() not in told


HIDDEN = b"GET /valet.css HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
SMUGGLED = {
    "two lengths": b"Content-Length: 0\r\nContent-Length: 72\r\n",
    "a list of lengths": b"Content-Length: 0, 72\r\n",
    "a signed length": b"Content-Length: +0\r\n",
    "a length with an underscore": b"Content-Length: 0_0\r\n",
    "a negative length": b"Content-Length: -1\r\n",
    "a blank before the colon": b"Content-Length : 72\r\n",
    "chunked": b"Transfer-Encoding: chunked\r\n",
    "chunked and a length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "chunked in capitals with a blank": b"Transfer-Encoding : CHUNKED\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "a folded header": b"X-Folded: a\r\n Content-Length: 72\r\n",
    "no header": b"no header at all\r\n",
    "vertical tab": b"Transfer-Encoding: \x0bchunked\r\n",
}


@tried("+3", SMUGGLED)
def test_a_request_hidden_in_another(world: World, link: str, how: bytes) -> None:
    told = answer(world, f"POST {link}/google HTTP/1.1\r\nHost: localhost\r\n".encode() + how + b"\r\n" + HIDDEN)
    assert told.startswith(b"HTTP/1.1 400 ")
    assert told.count(b"HTTP/1.1 ") == 1


def page(world: World) -> float:
    """How long an honest visitor waits for a page, in seconds."""
    began = time.monotonic()
    assert requests.get(world.stack.urls()["pages"], verify=world.ca, timeout=60).status_code == 200
    return time.monotonic() - began


BEGUN = {
    "idle after connecting": b"",
    "first line without an end": b"GET / HT",
    "headers without an end": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n",
    "body without an end": b"POST /connect/x/google HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000\r\n\r\na=",
}


@tried("+6", BEGUN)
def test_a_crowd_of_slow_clients(world: World, how: bytes) -> None:
    # given many who begin, and then send a byte now and then or nothing
    with ExitStack() as crowd:
        slow = [crowd.enter_context(client(world)) for _ in range(CROWD // 4)]
        for each in slow:
            each.sendall(how)
        # then others are served meanwhile
        waits = []
        for _ in range(3):
            for each in slow:
                with suppress(OSError):
                    each.sendall(how[:1])
            waits.append(page(world))
        assert max(waits) < 10


@tried("+6", ["who dawdles is cut off"])
def test_nobody_dawdles_for_ever(world: World, how: str) -> None:
    # given clients that begin, each in another way, and send no more
    with ExitStack() as crowd:
        slow = {name: crowd.enter_context(client(world)) for name in BEGUN}
        for name, begun in BEGUN.items():
            slow[name].sendall(begun)
        # then the server ends each connection, all in about the same time
        ends = time.monotonic() + LONGEST
        assert [name for name, each in slow.items() if not ended(each, ends)] == []


def ended(slow: ssl.SSLSocket, ends: float) -> bool:
    """Whether the server closes the connection by then."""
    try:
        slow.settimeout(max(0.1, ends - time.monotonic()))
        while slow.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


@tried("+6", ["silent before the handshake"])
def test_clients_that_say_nothing_at_all(world: World, how: str) -> None:
    parts = urlsplit(world.stack.urls()["pages"])
    with ExitStack() as crowd:
        for _ in range(10):
            crowd.enter_context(socket.create_connection((str(parts.hostname), int(parts.port or 0)), 30))
        assert page(world) < 10


@long_form
@tried("+6", ["more than the server takes at once"])
def test_a_crowd_that_fills_the_server(world: World, how: str) -> None:
    with ExitStack() as crowd:
        for _ in range(260):
            with suppress(OSError):
                crowd.enter_context(client(world)).sendall(b"GET / HT")
        # who dawdles is cut off after a while, and then whoever waited is served
        assert page(world) < 60
    assert page(world) < 10

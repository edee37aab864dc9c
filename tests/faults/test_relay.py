"""The wire that rows cut: what it does to whoever uses it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.faults.relay import Mode, Relay


@pytest.fixture
def echo() -> Iterator[int]:
    """A server on loopback that gives back what it gets; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]


def test_it_passes_on_and_counts(echo: int) -> None:
    with Relay(echo) as relay, _connected(relay) as one:
        assert _said(one, b"hello") == b"hello"
        assert relay.connections == 1


def test_a_blackhole_swallows_and_what_was_under_way_arrives_later(echo: int) -> None:
    with Relay(echo) as relay, _connected(relay) as one:
        assert _said(one, b"before") == b"before"
        relay.set(Mode.BLACKHOLE)
        assert _said(one, b"during") is None
        with _connected(relay) as other:  # is taken, and hears nothing
            assert _said(other, b"new") is None
        relay.set(Mode.OPEN)
        assert one.recv(100) == b"during"


def test_a_reset_ends_what_stands_and_what_comes(echo: int) -> None:
    with Relay(echo) as relay, _connected(relay) as one:
        assert _said(one, b"before") == b"before"
        relay.set(Mode.RESET)
        assert _ended(one)
        with suppress(ConnectionError), _connected(relay) as other:  # it may be reset before it knows that it stands
            assert _ended(other)
        relay.set(Mode.OPEN)
        with _connected(relay) as again:
            assert _said(again, b"after") == b"after"


def test_a_drip_is_one_byte_at_a_time(echo: int) -> None:
    with Relay(echo, pause=0.05) as relay, _connected(relay) as one:
        relay.set(Mode.DRIP)
        began = time.monotonic()
        one.sendall(b"slowly")
        got = b""
        while len(got) < 6:
            got += one.recv(100)
        assert got == b"slowly"
        assert time.monotonic() - began >= 5 * 0.05


def test_some_can_be_cut_off_alone(echo: int) -> None:
    # given two connections, of two processes by what `origin` tells
    made: dict[int, int] = {}
    with (
        Relay(echo, origin=lambda port: made.setdefault(port, len(made))) as relay,
        _connected(relay) as first,
        _connected(relay) as second,
    ):
        assert _said(first, b"a") == b"a"
        assert _said(second, b"b") == b"b"
        # when the first is cut off
        relay.cut_off([made[first.getsockname()[1]]])
        # then the other is heard still, and the first again when it is over
        assert _said(first, b"c") is None
        assert _said(second, b"d") == b"d"
        relay.cut_off([])
        assert first.recv(100) == b"c"


def _connected(relay: Relay) -> socket.socket:
    return socket.create_connection(("127.0.0.1", relay.port), timeout=5)


def _said(one: socket.socket, data: bytes) -> bytes | None:
    """What comes back, or None if nothing does within half a second."""
    one.settimeout(0.5)
    one.sendall(data)
    try:
        return one.recv(100)
    except TimeoutError:
        return None
    finally:
        one.settimeout(5)


def _ended(one: socket.socket) -> bool:
    try:
        return one.recv(100) == b""
    except ConnectionResetError:
        return True


def _serve(listener: socket.socket) -> None:
    with suppress(OSError):
        while True:
            threading.Thread(target=_echo, args=(listener.accept()[0],), daemon=True).start()


def _echo(one: socket.socket) -> None:
    with suppress(OSError), one:
        while data := one.recv(100):
            one.sendall(data)

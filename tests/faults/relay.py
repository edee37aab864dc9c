"""A wire that can be cut: TCP from a port of its own to a server on loopback, with TLS passing through untouched.

It stands in for a network namespace, which only root may make. What a process sees of either is the same: packets that
vanish, connections that are reset, bytes that come one at a time.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import Enum
from types import TracebackType

CHUNK = 65_536
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: a close that says "reset" instead of "goodbye"


class Mode(Enum):
    """How the wire is."""

    OPEN = "open"
    BLACKHOLE = "blackhole"
    """Connections stand and new ones are taken, and not a byte arrives: a cable pulled out."""
    RESET = "reset"
    """Connections are reset, and new ones at once."""
    DRIP = "drip"
    """One byte at a time, `pause` seconds apart, from the server's side."""


class Relay:
    """`with Relay(port) as relay: …`; `relay.port` is where to connect to instead.

    `origin` tells, by the port that a connection comes from, which process made it: then some can be cut off alone.
    """

    def __init__(
        self, target: int, *, pause: float = 1.0, origin: Callable[[int], int | None] = lambda _: None
    ) -> None:
        self._target = target
        self._pause = pause
        self._origin = origin
        self._apart: frozenset[int] = frozenset()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Condition()
        self._mode = Mode.OPEN
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._closed = False
        self.connections = 0
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def __enter__(self) -> "Relay":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def set(self, mode: Mode) -> None:
        """Have the wire be like that from now on. Leaving a blackhole, what was under way arrives, as TCP would resend it."""
        with self._lock:
            self._mode = mode
            self._lock.notify_all()
            standing = list(self._pairs)
        if mode is Mode.RESET:
            for pair in standing:
                _reset(pair)

    def cut_off(self, processes: Iterable[int]) -> None:
        """From now on these processes' packets vanish, and no others'. With none of them: nobody's any more."""
        with self._lock:
            self._apart = frozenset(processes)
            self._lock.notify_all()

    def close(self) -> None:
        """End it and every connection."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
            pairs = list(self._pairs)
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for pair in pairs:
            _reset(pair)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, (_, port) = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(near, port), name="relay-connection", daemon=True).start()

    def _serve(self, near: socket.socket, port: int) -> None:
        origin = self._origin(port)
        self._held(origin)  # in a blackhole the kernel's handshake is all that a new connection gets
        try:
            far = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        pair = (near, far)
        with self._lock:
            doomed = self._closed or self._mode is Mode.RESET
            self._pairs.append(pair)
        if not doomed:
            back = threading.Thread(target=self._copy, args=(far, near, origin, True), name="relay-back", daemon=True)
            back.start()
            self._copy(near, far, origin, False)
            back.join()
        self._forget(pair)

    def _copy(self, source: socket.socket, target: socket.socket, origin: int | None, from_server: bool) -> None:
        with suppress(OSError, ValueError):
            while data := source.recv(CHUNK):
                self._held(origin)
                if from_server and self._mode is Mode.DRIP:
                    self._drip(data, target)
                else:
                    target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _drip(self, data: bytes, target: socket.socket) -> None:
        for at in range(len(data)):
            target.sendall(data[at : at + 1])
            time.sleep(self._pause)

    def _held(self, origin: int | None) -> None:
        with self._lock:
            self._lock.wait_for(
                lambda: self._closed or (self._mode is not Mode.BLACKHOLE and origin not in self._apart)
            )

    def _forget(self, pair: tuple[socket.socket, socket.socket]) -> None:
        with self._lock:
            self._pairs.remove(pair)
        _reset(pair)


def _reset(pair: tuple[socket.socket, socket.socket]) -> None:
    for one in pair:
        with suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            one.shutdown(socket.SHUT_RDWR)
        one.close()

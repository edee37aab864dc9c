"""A connection as it is read and written here: a whole TLS record at a time, not a frame's header, body and end one by one."""

import select
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from struct import Struct
from typing import Any

import amqp
from amqp.method_framing import frame_writer
from kombu import Connection

from libs.messaging.link import CLOSED

RECORD = 16_384  # bytes; the most that TLS hands out at once (RFC 8446, 5.1)
MOST_GATHERED = 1_048_576  # bytes that wait for each other at most
HEADER = Struct(">BHI")  # of a frame: type, channel, size (AMQP 0-9-1, 4.2.3)
END = 0xCE
_patcher = sys.modules.get("eventlet.patcher")  # not imported here: the `valet` command knows no eventlet
_polling = _patcher.original("select") if _patcher else select


class Wire:
    """The connection under kombu's, held fast: asked for a lost one, kombu and py-amqp silently make another.

    Each call of py-amqp's for the next few bytes is one to TLS, and each frame that it writes is a record of its own, which costs
    the broker as much as us. So what has arrived is read at once, and what belongs together goes in one piece.
    """

    def __init__(self, connection: Connection) -> None:
        self._kombu = connection
        self.amqp: amqp.Connection = connection.connection
        self._transport = self.amqp.transport
        self._gathered: bytearray | None = None
        self._timeout = 0.0
        if isinstance(self._transport, amqp.transport.SSLTransport):
            read = self._transport.sock.read
            self._transport._quick_recv = lambda _wanted: read(RECORD)
        self.amqp.frame_writer = frame_writer(self.amqp, self)  # it asks for nothing but `write`

    def readable(self, within: float) -> bool:
        """Whether there is something to read within so many seconds. Leaves TLS alone: of two threads, only one at a time
        may read or write with it, so whoever shares a connection waits here and reads under the lock of the writers."""
        sock = self._transport.sock
        if sock is None:
            raise OSError("closed")
        if self._transport._read_buffer or sock.pending():
            return True
        return bool(select.select([sock], [], [], within)[0]) if within else _here(sock)

    def drain(self, within: float) -> None:
        """Handle the next thing that the broker says. Raises TimeoutError if nothing whole comes within so many seconds."""
        while not self._handled(within):
            pass

    @contextmanager
    def gathered(self, timeout: float) -> Iterator[None]:
        """What is written meanwhile goes in one piece at the end. Raises TimeoutError if the broker does not take it in time."""
        self._gathered, self._timeout = bytearray(), timeout
        try:
            yield
            self._flush()
        finally:
            self._gathered = None

    def write(self, frame: Any) -> None:
        """What py-amqp writes its frames to."""
        if self._gathered is None:
            self._transport.write(frame)
            return
        self._gathered += frame
        if len(self._gathered) >= MOST_GATHERED:
            self._flush()

    def cut(self) -> None:
        """Close at once, without the farewells of TLS and AMQP: a broker that hangs would not answer them."""
        sock, self._transport.sock = self._transport.sock, None
        with suppress(*CLOSED):
            sock.shutdown(socket.SHUT_RDWR)
        with suppress(*CLOSED):
            sock.close()
        with suppress(*CLOSED):
            self._kombu.release()

    def _flush(self) -> None:
        gathered, self._gathered = self._gathered, bytearray()
        if gathered:
            with self._transport.having_timeout(self._timeout):
                self._transport.write(memoryview(gathered))

    def _handled(self, within: float) -> bool:
        frame = self._frame()
        return bool(self.amqp.blocking_read(within) if frame is None else self.amqp.on_inbound_frame(frame))

    def _frame(self) -> tuple[int, int, bytes] | None:
        """The next frame, if all of it is here already; py-amqp reads and checks every other."""
        arrived = self._transport._read_buffer
        if len(arrived) < HEADER.size:
            return None
        kind, channel, size = HEADER.unpack_from(arrived)
        end = HEADER.size + size
        if len(arrived) <= end or arrived[end] != END:
            return None
        self._transport._read_buffer = arrived[end + 1 :]
        return kind, channel, arrived[HEADER.size : end]


def _here(sock: Any) -> bool:
    """Whether there is something to read at this moment. No other greenlet need have a turn for that: the hub's way costs thirty
    times as much."""
    poll = _polling.poll()
    poll.register(sock, _polling.POLLIN)
    return bool(poll.poll(0))

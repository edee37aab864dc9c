"""The open connections, so that a fault can cut one. ASGI has no word for that, hence this small protocol class."""

import asyncio
from typing import Any
from weakref import WeakValueDictionary

from uvicorn.protocols.http.h11_impl import H11Protocol

Peer = tuple[str, int]
_open: "WeakValueDictionary[tuple[Peer, Peer], asyncio.Transport]" = WeakValueDictionary()


class CuttableProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol, whose connections can be cut by the addresses of their two ends."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        """Note the connection."""
        super().connection_made(transport)
        if self.client is not None and self.server is not None:
            _open[self.client, (self.server[0], self.server[1] or 0)] = transport


def cut_all(port: int) -> None:
    """Cut every connection of the server on that port: how it ends without waiting for clients that keep theirs open."""
    for (_, server), transport in list(_open.items()):
        if server[1] == port:
            transport.abort()


def cut(scope: dict[str, Any]) -> None:
    """Cut the connection of this request without an answer. RuntimeError if another server than ours runs the app."""
    client, server = scope.get("client"), scope.get("server")
    transport = _open.get((tuple(client), tuple(server))) if client and server else None
    if transport is None:
        raise RuntimeError("this fault cuts connections: run the sandbox with deploy.sandbox.server")
    transport.abort()

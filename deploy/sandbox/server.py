"""Runs the app under uvicorn with TLS."""

import asyncio
import signal
import socket
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from deploy.sandbox.connections import CuttableProtocol, cut_all


def configured(app: Starlette, host: str, port: int, cert: Path, key: Path) -> uvicorn.Config:
    """How the sandbox is served: TLS, HTTP/1.1, connections that faults can cut, no access log."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        ssl_certfile=str(cert),
        ssl_keyfile=str(key),
        http=CuttableProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )


class Server(uvicorn.Server):
    """uvicorn's server, ended by `should_exit` alone: uvicorn itself would raise the signal once more when it is done."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End at once, instead of waiting for clients that keep their connections open."""
        cut_all(port_of(self))
        await super().shutdown(sockets)

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # uvicorn declares a generator
        """Leave the signals to `serve`."""
        return nullcontext()


def serve(config: uvicorn.Config, ready: Path | None) -> int:
    """Serve until SIGTERM or SIGINT. When listening, the base URL is written to `ready`. 0, or 3 if it could not start."""
    return asyncio.run(_serve(Server(config), ready))


async def _serve(server: Server, ready: Path | None) -> int:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, setattr, server, "should_exit", True)
    task = asyncio.create_task(_until_told(server))
    while not server.started and not task.done():
        await asyncio.sleep(0.01)
    if server.started:
        _say(f"https://{server.config.host}:{port_of(server)}", ready)
    return await task


async def _until_told(server: Server) -> int:
    try:
        await server.serve()
    except SystemExit:  # uvicorn's way to say that the port is taken
        return 3
    return 0 if server.started else 3


def _say(address: str, ready: Path | None) -> None:
    print(f"calendar sandbox at {address}", flush=True)
    if ready is not None:
        draft = ready.with_name(ready.name + ".new")
        draft.write_text(address + "\n")
        draft.replace(ready)


def port_of(server: uvicorn.Server) -> int:
    """The port a started server listens on (the one chosen, if it was told 0)."""
    return int(server.servers[0].sockets[0].getsockname()[1])

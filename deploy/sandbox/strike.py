"""How a fault strikes: what the client gets instead of, or along with, the answer it should have had."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from deploy.sandbox.call import JSON, Call
from deploy.sandbox.connections import cut
from deploy.sandbox.faults import Fault, FaultSpec
from deploy.sandbox.google.errors import google_error
from deploy.sandbox.microsoft.errors import graph_error

Asgi = tuple[Scope, Receive, Send]
LONGEST_HANG: Final = 600.0
OAUTH: Final = ("google.token", "google.revoke", "microsoft.token")


async def answer_with(call: Call, do: Callable[[Call], Response], entry: dict[str, Any], asgi: Asgi) -> None:
    """Do the call, or not, as its fault says, and answer; `entry` learns the status (0 means: never answered)."""
    scope, receive, send = asgi
    fault = call.fault
    right = do(call) if fault is None or fault.has_effect else None
    if fault is not None and fault.spec.kind.startswith(("timeout", "drop")):
        if fault.spec.kind.startswith("timeout"):
            await _hang(receive, fault.spec.seconds)
        cut(dict(scope))
        return await _until_gone(receive)
    response = _wrong(call, fault, right) if fault is not None else right
    if response is None:
        raise RuntimeError("a call without a fault is always done")
    entry["status"] = response.status_code
    return await response(scope, receive, send)


async def _hang(receive: Receive, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(min(seconds, LONGEST_HANG)):
            await _until_gone(receive)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _wrong(call: Call, fault: Fault, right: Response | None) -> Response:
    spec = fault.spec
    body = bytes(right.body) if right is not None else b""
    status = right.status_code if right is not None else 200
    kinds: dict[str, Callable[[], Response]] = {
        "status": lambda: _status(call, spec),
        "redirect": lambda: Response(status_code=302, headers={"location": spec.location}),
        "garbage": lambda: Response(b"<html>\x00\xff not what you asked for", media_type="application/json"),
        "truncated": lambda: Response(body[: len(body) // 2] or b"{", status, media_type="application/json"),
        "slow-body": lambda: StreamingResponse(_slowly(body, spec), status, media_type="application/json"),
        "huge": lambda: StreamingResponse(_huge(spec.size), media_type="application/json"),
    }
    if spec.kind in kinds:
        return kinds[spec.kind]()
    return right or Response(status_code=500)  # calendar-error: the freeBusy handler has put it into the answer


def _status(call: Call, spec: FaultSpec) -> Response:
    if call.operation in OAUTH:
        content = {
            "error": spec.reason or "temporarily_unavailable",
            "error_description": spec.message or "Switched on.",
        }
        response: Response = JSON(content, spec.status)
    elif call.operation.startswith("google."):
        response = google_error(spec.status, spec.reason or "backendError", spec.message or "Backend Error")
    else:
        response = graph_error(spec.status, spec.reason or "ServiceUnavailable", spec.message or "Switched on.")
    if spec.retry_after is not None:
        response.headers["retry-after"] = str(spec.retry_after)
    return response


async def _slowly(body: bytes, spec: FaultSpec) -> AsyncIterator[bytes]:
    for at in range(len(body)):
        yield body[at : at + 1]
        await asyncio.sleep(spec.byte_seconds)


async def _huge(size: int) -> AsyncIterator[bytes]:
    chunk = b"a" * 65_536
    yield b'{"padding":"'
    for _ in range(max(size // len(chunk), 1)):
        yield chunk
        await asyncio.sleep(0)
    yield b'"}'

"""What every page has in common: security headers, small bodies, posts from this site only, and logs without a person in them."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

# No Strict-Transport-Security here: it would bind every other program on a developer's localhost as well.
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
LARGEST_BODY: Final = 32 * 1024  # bytes
FIELDS: Final = 30

log = logging.getLogger("example_site")
Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]
Form = Mapping[str, str]


class Guard:
    """Around the application: adds headers, measures, logs which page it was and never which person or link."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def answer(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_headers(message["headers"], scope, began)]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception as error:  # noqa: BLE001 - its text may hold what a visitor wrote, so only its kind is logged
            log.error("a page failed: %s in %s", type(error).__name__, _where(error))
            if not status:
                await PlainTextResponse("Something went wrong. Please try again.", 500)(scope, receive, answer)
        log.info("%s %s %d %.0f ms", scope["method"], _page(scope), status, (time.monotonic() - began) * 1000)


def posting(handle: Callable[[Request, Form], Response]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that acts: only for a form of this site, read whole and small before anything happens."""

    async def endpoint(request: Request) -> Response:
        _same_origin(request)
        return await run_in_threadpool(handle, request, await _form(request))

    endpoint.__name__ = handle.__name__
    return endpoint


def timed(request: Request, seconds: float) -> None:
    """Note how long Valet took to answer; the page tells it in Server-Timing."""
    request.scope["valet_seconds"] = request.scope.get("valet_seconds", 0.0) + seconds


def _headers(given: list[tuple[bytes, bytes]], scope: Scope, began: float) -> list[tuple[bytes, bytes]]:
    names = {name.decode().lower() for name, _ in given}
    total, valet = (time.monotonic() - began) * 1000, scope.get("valet_seconds", 0.0) * 1000
    timing = {"server-timing": f"total;dur={total:.1f}, valet;dur={valet:.1f}"}
    wanted = {**HEADERS, **timing}
    return [(name.encode(), value.encode()) for name, value in wanted.items() if name not in names]


def _same_origin(request: Request) -> None:
    """Refuses what another site's page makes a browser send (https://web.dev/articles/fetch-metadata)."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    foreign = site not in (None, "same-origin", "none")
    if foreign or (origin is not None and urlsplit(origin).netloc != request.headers.get("host")):
        raise HTTPException(403, "This form was not sent from this site.")


async def _form(request: Request) -> Form:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise HTTPException(415, "This is not a form.")
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > LARGEST_BODY:
                raise HTTPException(413, "That is more than this form takes.")
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=FIELDS)
    except (ValueError, ClientDisconnect):
        raise HTTPException(400, "This form cannot be read.") from None
    return {name: values[-1] for name, values in fields.items()}


def _page(scope: Scope) -> str:
    endpoint = scope.get("endpoint")
    return str(getattr(endpoint, "__name__", None) or type(endpoint).__name__) if endpoint else "-"


def _where(error: Exception) -> str:
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}" if at else "?"

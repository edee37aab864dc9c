"""`/live`, `/ready` and `/metrics`. Liveness never looks at dependencies: restarting cures no broker."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from libs.telemetry.serving import StartResponse


class Probes:
    """A WSGI application. `checks` may grow while it serves; each says whether one thing is as it must be."""

    def __init__(self, checks: Mapping[str, Callable[[], bool]]) -> None:
        self._checks = checks

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        status, kind, body = self._page(environ.get("PATH_INFO", "/"))
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
        start_response(status, headers)
        return [body]

    def _page(self, path: str) -> tuple[str, str, bytes]:
        if path == "/metrics":
            return "200 OK", CONTENT_TYPE_LATEST, generate_latest(REGISTRY)
        if path == "/live":
            return "200 OK", "text/plain", b"live\n"
        if path == "/ready":
            failing = sorted(name for name, check in self._checks.items() if not _holds(check))
            text = "".join(f"not ready: {name}\n" for name in failing) or "ready\n"
            return ("503 Service Unavailable" if failing else "200 OK"), "text/plain", text.encode()
        return "404 Not Found", "text/plain", b"/live, /ready or /metrics\n"


def _holds(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except Exception:  # noqa: BLE001 - a check that fails says no
        return False

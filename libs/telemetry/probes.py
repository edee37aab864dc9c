"""`/live`, `/ready` and `/metrics`. Liveness never looks at dependencies: restarting cures no broker."""

import ssl
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import eventlet
import eventlet.wsgi
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from libs.config.settings import Settings

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class Probes:
    """A small server of its own port; over TLS where the process has a certificate."""

    def __init__(self, settings: Settings, checks: Mapping[str, Callable[[], bool]]) -> None:
        self._checks = checks
        self._socket = listen(settings.probes_listen, settings)

    def serve(self) -> None:
        """Answer until closed."""
        with suppress(OSError):
            eventlet.wsgi.server(self._socket, self._app, log_output=False, debug=False, max_size=16)

    def close(self) -> None:
        """Stop listening."""
        with suppress(OSError):
            self._socket.close()

    def _app(self, environ: Mapping[str, Any], start: StartResponse) -> Iterable[bytes]:
        status, kind, body = self._page(environ.get("PATH_INFO", "/"))
        start(status, [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")])
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


def listen(address: str, settings: Settings) -> Any:
    """A listening socket at host:port; over TLS (1.2 or newer) where the process has a certificate."""
    host, _, port = address.rpartition(":")
    plain = eventlet.listen((host, int(port)), reuse_port=False)
    if settings.tls_cert is None or settings.tls_key is None:
        return plain
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    return context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)


def _holds(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except Exception:  # noqa: BLE001 - a check that fails says no
        return False

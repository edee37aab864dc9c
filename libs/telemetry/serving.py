"""A small HTTPS server, a greenlet per connection, that nobody who dawdles or stumbles can hold up."""

import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

import eventlet
import eventlet.wsgi

from libs.config.settings import Settings
from libs.telemetry.logs import logger

MOST_CONNECTIONS: Final = 200
SLOWEST: Final = 15.0
"""Seconds that a client may stay silent, in the handshake, a request, or between two."""

StartResponse = Callable[..., Any]
App = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class _Connection(eventlet.wsgi.HttpProtocol):  # type: ignore[misc]  # eventlet has no types
    """One client. What goes wrong with its handshake or its line is its own affair, and worth no traceback."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        with suppress(OSError):
            super().__init__(*args, **kwargs)


class TlsServer:
    """Serves a WSGI application, listening from the moment it is made. Writes no access log: addresses can hold links and codes."""

    def __init__(self, app: App, address: str, settings: Settings) -> None:
        self._app = app
        self._address = address
        self._settings = settings
        self._socket = listen(address, settings)
        self.up = True
        self._wanted = True

    def serve(self) -> None:
        """Answer until closed. Trouble with accepting (no file handles left, say) is waited out, and then begun anew."""
        while self._wanted:
            try:
                self._serve()
            except OSError as error:
                logger().error("server interrupted", address=self._address, error=error)
            self.up = False
            eventlet.sleep(0.5)
            if self._wanted:
                self._listen_again()

    def close(self) -> None:
        """Stop listening."""
        self._wanted = False
        with suppress(OSError):
            self._socket.close()

    def _listen_again(self) -> None:
        with suppress(OSError):
            self._socket = listen(self._address, self._settings)
            self.up = True

    def _serve(self) -> None:
        eventlet.wsgi.server(
            self._socket,
            self._app,
            log_output=False,
            debug=False,
            max_size=MOST_CONNECTIONS,
            protocol=_Connection,
            socket_timeout=SLOWEST,
            keepalive=SLOWEST,
            url_length_limit=8192,
        )


def listen(address: str, settings: Settings) -> Any:
    """A listening socket at host:port; over TLS (1.2 or newer) where the process has a certificate."""
    host, _, port = address.rpartition(":")
    plain = eventlet.listen((host, int(port)), reuse_port=False)
    if settings.tls_cert is None or settings.tls_key is None:
        return plain
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    # The handshake waits for the first read, so that a silent client does not hold up the others.
    return context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)

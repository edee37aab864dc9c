"""Serves the hosts' pages over TLS, a greenlet per connection."""

from contextlib import suppress
from typing import Any, Final

import eventlet
import eventlet.wsgi

from libs.config.settings import Settings
from libs.telemetry.logs import logger
from libs.telemetry.probes import listen
from services.auth.pages import Pages

MOST_CONNECTIONS: Final = 200
SLOWEST: Final = 15.0
"""Seconds that a browser may stay silent, in the handshake, a request, or between two."""


class _Connection(eventlet.wsgi.HttpProtocol):  # type: ignore[misc]  # eventlet has no types
    """One browser. What goes wrong with its handshake or its line is its own affair, and worth no traceback."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        with suppress(OSError):
            super().__init__(*args, **kwargs)


class PagesServer:
    """Listens from the moment it is made. Writes no access log: the addresses hold links and codes."""

    def __init__(self, pages: Pages, settings: Settings) -> None:
        self._pages = pages
        self._settings = settings
        self._socket = listen(settings.pages_listen, settings)
        self.up = True
        self._wanted = True

    def serve(self) -> None:
        """Answer until closed. Trouble with accepting (no file handles left, say) is waited out, and then begun anew."""
        while self._wanted:
            try:
                self._serve()
            except OSError as error:
                logger().error("pages interrupted", error=error)
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
            self._socket = listen(self._settings.pages_listen, self._settings)
            self.up = True

    def _serve(self) -> None:
        eventlet.wsgi.server(
            self._socket,
            self._pages,
            log_output=False,
            debug=False,
            max_size=MOST_CONNECTIONS,
            protocol=_Connection,
            socket_timeout=SLOWEST,
            keepalive=SLOWEST,
            url_length_limit=8192,
        )

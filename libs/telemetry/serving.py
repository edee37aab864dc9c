"""A small HTTPS server, a greenlet per connection, that nobody who dawdles or stumbles can hold up."""

import io
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

import eventlet
import eventlet.wsgi

from libs.config.settings import Settings
from libs.telemetry.certificate import LOOK, Certificate
from libs.telemetry.logs import logger

MOST_CONNECTIONS: Final = 200
SLOWEST: Final = 15.0
"""Seconds that a client may take: for the handshake and the first line, for the headers, for the body, and between two requests."""
LARGEST_BODY: Final = 64 * 1024  # bytes; what a page takes is for the application to say, and less

NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token (RFC 9110, 5.6.2)
LENGTH: Final = re.compile(r"[0-9]{1,12}")

StartResponse = Callable[..., Any]
App = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class _Connection(eventlet.wsgi.HttpProtocol):  # type: ignore[misc]  # eventlet has no types
    """One client. What goes wrong with its handshake or its line is its own affair, and worth no traceback.

    A request is taken only if there is one way to read where it ends (RFC 9112, 6.3): a proxy in front of us may read another.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        try:
            with suppress(OSError):
                super().__init__(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - eventlet would write it down, text and all
            logger().error("connection failed", error=error)

    def log_message(self, *_: Any) -> None:
        """The standard library writes broken requests to standard error, and they can hold links and codes."""

    def send_error(self, code: int, *_: Any) -> None:
        """Refuse, without a word of what was sent, and close."""
        self.close_connection = True
        self.wfile.write(f"HTTP/1.1 {code} {HTTPStatus(code).phrase}\r\nConnection: close\r\n".encode())
        self.wfile.write(b"Content-Length: 0\r\n\r\n")

    def _read_request_line(self) -> Any:
        with _in_time():
            return super()._read_request_line()

    def parse_request(self) -> bool:
        """Read the headers; whether the request is one to answer."""
        with _in_time():
            if not super().parse_request():
                return False
        fault = self._fault()
        if fault is not None:
            self.send_error(fault)
        return fault is None

    def get_environ(self) -> Any:
        """With the whole body read, so that the application never waits for it."""
        environ = super().get_environ()
        if environ.get("HTTP_EXPECT", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
        length = int(self.headers.get("content-length", "0"))
        with _in_time():
            body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionResetError
        environ["wsgi.input"] = environ["eventlet.input"] = eventlet.wsgi.Input(
            io.BytesIO(body), length, self.connection
        )
        return environ

    def _fault(self) -> HTTPStatus | None:
        lengths = self.headers.get_all("content-length", [])
        odd = self.headers.defects or not all(map(NAME.fullmatch, self.headers.keys())) or self.headers.get_payload()
        folded = any("\n" in value or "\r" in value for value in self.headers.values())
        if odd or folded or "transfer-encoding" in self.headers or len(lengths) > 1:
            return HTTPStatus.BAD_REQUEST
        if lengths and not LENGTH.fullmatch(lengths[0].strip(" \t")):
            return HTTPStatus.BAD_REQUEST
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE if lengths and int(lengths[0]) > LARGEST_BODY else None


class TlsServer:
    """Serves a WSGI application, listening from the moment it is made. Writes no access log: addresses can hold links and codes."""

    def __init__(self, app: App, address: str, settings: Settings) -> None:
        self._app = app
        self._address = address
        self._certificate = certificate_of(settings)
        self._socket = listen(address, self._certificate)
        self.up = True
        self._wanted = True

    def serve(self) -> None:
        """Answer until closed. Trouble with accepting (no file handles left, say) is waited out, and then begun anew."""
        renewing = eventlet.spawn(self._renew)
        while self._wanted:
            try:
                self._serve()
            except OSError as error:
                logger().error("server interrupted", address=self._address, error=error)
            self.up = False
            eventlet.sleep(0.5)
            if self._wanted:
                self._listen_again()
        renewing.kill()

    def close(self) -> None:
        """Stop listening."""
        self._wanted = False
        with suppress(OSError):
            self._socket.close()

    def _listen_again(self) -> None:
        with suppress(OSError):
            self._socket = listen(self._address, self._certificate)
            self.up = True

    def _renew(self) -> None:
        while self._certificate is not None:
            eventlet.sleep(LOOK)
            self._certificate.refresh()

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


def _in_time() -> Any:
    return eventlet.Timeout(SLOWEST, TimeoutError())


def certificate_of(settings: Settings) -> Certificate | None:
    """The process's certificate, if it has one."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return Certificate(settings.tls_cert, settings.tls_key)


def listen(address: str, certificate: Certificate | None) -> Any:
    """A listening socket at host:port; over TLS where there is a certificate."""
    host, _, port = address.rpartition(":")
    plain = eventlet.listen((host, int(port)), reuse_port=False)
    if certificate is None:
        return plain
    # The handshake waits for the first read, so that a silent client does not hold up the others.
    return certificate.context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)

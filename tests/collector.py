"""A collector of spans, as small as a test needs it: OTLP over HTTPS on loopback, and everything kept that came."""

import gzip
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Kept:
    """One span as it came."""

    service: str
    name: str
    trace: str
    span: str
    parent: str
    labels: dict[str, Any]
    links: tuple[str, ...]


@dataclass
class Collector:
    """What came: spans, and the very bytes."""

    address: str = ""
    spans: list[Kept] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def of(self, trace: str) -> list[Kept]:
        """The spans of one trace."""
        return [span for span in self.spans if span.trace == trace]

    def take(self, headers: dict[str, str], body: bytes) -> None:
        """Keep one request."""
        plain = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        self.headers.append(headers)
        self.raw.append(plain)
        for group in ExportTraceServiceRequest.FromString(plain).resource_spans:
            service = {a.key: a.value.string_value for a in group.resource.attributes}["service.name"]
            self.spans += [_kept(service, span) for scope in group.scope_spans for span in scope.spans]


def _kept(service: str, span: Any) -> Kept:
    labels = {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}
    links = tuple(link.trace_id.hex() for link in span.links)
    return Kept(service, span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), labels, links)


@contextmanager
def collecting(certificate: Path) -> Iterator[Collector]:
    """A collector that listens, with this certificate and key (one PEM file)."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found = self.path == "/v1/traces"
            if found:
                collector.take({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(200 if found else 404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing to say."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    collector.address = f"https://localhost:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()

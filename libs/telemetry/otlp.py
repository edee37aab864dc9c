"""Spans over OTLP/HTTP with OpenTelemetry's own SDK. Imported only where a collector is set.

The batch processor keeps a bounded queue and sends from a thread (a greenlet under eventlet's monkey patch): what does not fit is
dropped, and no handler waits.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Final

import eventlet
import requests
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace.status import Status, StatusCode

from libs.config.settings import Settings, header_pairs
from libs.telemetry import build, metrics
from libs.telemetry.logs import logger
from libs.telemetry.tracing import Label

PATH: Final = "/v1/traces"
"""What OTLP/HTTP puts behind the collector's base address (https://opentelemetry.io/docs/specs/otlp/#otlphttp-request)."""
WAITING, TOGETHER = 2048, 256
"""Spans kept for the collector, and sent at once."""
EVERY: Final = 2000.0  # milliseconds between two exports
LONGEST_EXPORT: Final = 5.0  # seconds, tries again included
LONGEST_END: Final = 3.0  # seconds that the end of the process waits for the last spans

KINDS: Final[Mapping[str, SpanKind]] = {kind.name.lower(): kind for kind in SpanKind}


class OtlpRecorder:
    """Records spans and sends them to the collector of VALET_OTLP_ENDPOINT."""

    def __init__(self, service: str, settings: Settings) -> None:
        self.sample = settings.trace_sample
        about = build.described(service)
        resource = Resource(
            {
                "service.namespace": "valet",
                "service.name": service,
                "service.version": about["version"],
                "vcs.ref.head.revision": about["revision"],
            }
        )
        # What is kept was decided where its trace began.
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_exporter(settings), WAITING, EVERY, TOGETHER))
        self._tracer = self._provider.get_tracer("valet")

    def start(
        self, name: str, kind: str, parent: str | None, labels: Mapping[str, Label | None], links: Sequence[str] = ()
    ) -> "OtlpSpan":
        """See `Recorder`."""
        return OtlpSpan(self._started(name, kind, parent, labels, links=links))

    def past(self, name: str, kind: str, parent: str, labels: Mapping[str, Label | None], seconds: float) -> None:
        """See `Recorder`."""
        now = time.time_ns()
        self._started(name, kind, parent, labels, began=now - int(seconds * 1e9)).end(now)

    def close(self) -> None:
        """Send what is left, within some seconds."""
        with eventlet.Timeout(LONGEST_END, exception=False):
            self._provider.shutdown()

    def _started(
        self,
        name: str,
        kind: str,
        parent: str | None,
        labels: Mapping[str, Label | None],
        *,
        links: Sequence[str] = (),
        began: int | None = None,
    ) -> OtelSpan:
        metrics.TRACE_SPANS.labels("made").inc()
        return self._tracer.start_span(
            name,
            set_span_in_context(NonRecordingSpan(_context(parent)), Context()) if parent else Context(),
            KINDS[kind],
            _given(labels),
            [Link(_context(link)) for link in links],
            began,
        )


class OtlpSpan:
    """One span under way."""

    def __init__(self, span: OtelSpan) -> None:
        self._span = span
        context = span.get_span_context()
        self.parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def note(self, labels: Mapping[str, Label | None], *, failed: bool = False) -> None:
        """See `Span`."""
        self._span.set_attributes(_given(labels))
        if failed:
            self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        """See `Span`."""
        self._span.end()


class _Counted(SpanExporter):
    """Counts what the collector took, and what it did not."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._taken = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        taken = result is SpanExportResult.SUCCESS
        metrics.TRACE_SPANS.labels("taken" if taken else "not-taken").inc(len(spans))
        if self._taken and not taken:
            logger().warning("collector takes no spans, they are dropped")
        self._taken = taken
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


def _exporter(settings: Settings) -> SpanExporter:
    session = requests.Session()
    session.trust_env = False  # no proxy, and no password file, that nobody set for Valet
    return _Counted(
        OTLPSpanExporter(
            endpoint=f"{settings.otlp_endpoint}{PATH}",
            certificate_file=str(settings.ca_bundle) if settings.ca_bundle else None,
            headers=header_pairs(settings.otlp_headers),
            timeout=LONGEST_EXPORT,
            compression=Compression.Gzip,
            session=session,
        )
    )


def _context(traceparent: str) -> SpanContext:
    _, trace, span, flags = traceparent.split("-")
    return SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16) & 1))


def _given(labels: Mapping[str, Label | None]) -> dict[str, Label]:
    return {name: label for name, label in labels.items() if label is not None}

"""Logs: one line per step, as JSON or for people. No library may write what it likes: some log bodies, codes and tokens."""

import io
import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import msgspec
import structlog

from libs.telemetry import metrics, trace

OURS = "valet"
QUIET = (
    "nameko",
    "kombu",
    "amqp",
    "oauthlib",
    "requests_oauthlib",
    "msal",
    "urllib3",
    "requests",
    "pymongo",
    "opentelemetry",
    "eventlet.wsgi",
    "werkzeug",
)


LINES = {level: metrics.LOG_LINES.labels(level) for level in ("debug", "info", "warning", "error", "critical")}


def configure(service: str, form: str, level: str, stream: TextIO | None = None) -> None:
    """Set logging up for a process, on standard error by default: ours at `level`, everybody else's silenced below CRITICAL."""
    target = stream or cast(TextIO, _Stderr())
    logging.basicConfig(stream=target, level=logging.CRITICAL, format="%(message)s", force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    renderer: Any = structlog.processors.JSONRenderer(_json)  # a fifth of what the standard library's takes
    if form == "human":
        renderer = structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            _named(service),
            structlog.processors.add_log_level,
            _counted,
            _traced,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _failure,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=True,
    )


class _Stderr(io.TextIOBase):
    """Whatever is standard error when a line is written, not when logging was set up."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def _json(line: Any, **_: Any) -> str:
    return msgspec.json.encode(line, enc_hook=repr).decode()


def logger() -> Any:
    """The logger of this process."""
    return structlog.get_logger(OURS)


def step(what: str, booking: str, traceparent: str | None = None, **said: Any) -> None:
    """What has just happened to a booking. It is told in the line of the event that it follows from, or in one of its own."""
    line = {"step": what, "booking": booking, **said}
    if not trace.noted({name: value for name, value in line.items() if value is not None}, booking, traceparent):
        logger().info(what, booking=booking, trace=trace.id_of(traceparent), **said)


def _named(service: str) -> Any:
    def name(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {"service": service, **line}

    return name


def _counted(_: Any, level: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    LINES[level].inc()
    return line


def _traced(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if line.get("trace") is None:
        line.pop("trace", None)
        if (found := trace.trace_of(line.get("booking"))) is not None:
            line["trace"] = found
    return line


def _failure(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say of an exception what it is and where, never what it says: texts of exceptions quote what they choked on."""
    error = line.pop("error", None)
    if isinstance(error, BaseException):
        line["error"] = type(error).__name__
        line["at"] = [
            f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
            for frame in traceback.extract_tb(error.__traceback__)[-6:]
        ]
    elif error is not None:
        line["error"] = error
    return line

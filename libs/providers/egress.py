"""The one door to the providers: what is not on the allow-list is refused before it leaves, and counted.

The check looks at the prepared request, that is, at the very bytes that would leave.
"""

import re
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

import msgspec
import requests
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import ConnectTimeout, RequestException, SSLError, Timeout
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import HTTPError, ReadTimeoutError

from libs.config.settings import Settings
from libs.contracts.events import Provider
from libs.providers.allowlist import RULES, Rule
from libs.providers.answers import Answer
from libs.providers.errors import EgressRefused, Unreachable
from libs.providers.metering import count_limits
from libs.providers.switches import Switches
from libs.providers.transport import Transport, until
from libs.telemetry import tracing
from libs.telemetry.metrics import EGRESS_REFUSED, PROVIDER_REQUESTS, PROVIDER_SECONDS

LARGEST_ANSWER = 2 * 1024 * 1024
"""Bytes. The longest honest answer, a full page of calendarView, stays far below."""

CHUNK = 65_536
REDIRECTS = frozenset({301, 302, 303, 307, 308})
NO_CONNECTION = "no-connection"
"""The label of an Unreachable that surely had no effect."""

HEADERS: Mapping[str, str] = {
    "authorization": r"(Bearer|Basic) [\x21-\x7e]+",
    "accept": r"application/json",
    "accept-encoding": r"identity",
    "user-agent": r"valet",
    "connection": r"keep-alive",
    "content-length": r"\d+",
    "content-type": r"application/(json|x-www-form-urlencoded)",
}
PLAIN_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "valet"}


class Door:
    """Sends what the allow-list knows. One instance serves all threads or greenlets of a process."""

    def __init__(
        self, settings: Settings, transport: Transport | None = None, switches: Switches | None = None
    ) -> None:
        self._settings = settings
        self._switches = switches or Switches()
        self._transport = transport or Transport(str(settings.ca_bundle) if settings.ca_bundle else None)

    def ask(
        self,
        provider: Provider,
        operation: str,
        url: str,
        *,
        token: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Ask with an access token and, where the operation has one, a JSON body; the method is the rule's.

        Raises SwitchedOff, EgressRefused, or Unreachable if no whole answer came within the provider time-out. Any status is an
        answer.
        """
        rule = self._rule(provider, operation)
        headers = {"Authorization": f"Bearer {token}", **{k.title(): _literal(v) for k, v in rule.headers.items()}}
        data = None if body is None else msgspec.json.encode(body)
        if data is not None:
            headers["Content-Type"] = "application/json"
        if rule.method != "GET":
            headers["Content-Length"] = str(len(data or b""))
        request = requests.PreparedRequest()  # made by hand: to have it prepared takes as long as to send it
        request.method, request.url, request.body = rule.method, f"{url}?{urlencode(query)}" if query else url, data
        request.headers = CaseInsensitiveDict(headers)
        return self.send(provider, operation, request)

    def send(self, provider: Provider, operation: str, request: requests.PreparedRequest) -> Answer:
        """Send a prepared request (that is how the OAuth libraries come through). Raises like `ask`."""
        self._switches.check(provider)
        request.headers.update(PLAIN_HEADERS)
        why = self._fault(self._rule(provider, operation), request)
        if why:
            raise self._refusal(provider, operation, why)
        answer = self._measured(provider, operation, request)
        if answer.status in REDIRECTS:
            EGRESS_REFUSED.labels(provider, operation).inc()
            raise Unreachable("redirected")
        return answer

    def _measured(self, provider: Provider, operation: str, request: requests.PreparedRequest) -> Answer:
        """Send it, and measure that. The provider is not told of the trace: it has no use for it, and it would link requests."""
        began, outcome = time.monotonic(), "failed"
        labels = {"valet.provider": provider, "valet.operation": operation}
        with tracing.span(f"{provider} {operation}", "client", labels) as span:
            try:
                answer = self._exchange(request, began + self._settings.provider_timeout)
                outcome = f"{answer.status // 100}xx"
                count_limits(provider, operation, answer)
                span.note({"http.response.status_code": answer.status})
            except Unreachable as error:
                outcome = error.label
                raise
            finally:
                PROVIDER_REQUESTS.labels(provider, operation, outcome).inc()
                PROVIDER_SECONDS.labels(provider, operation).observe(time.monotonic() - began)
                span.note({"valet.outcome": outcome})
        return answer

    def close(self) -> None:
        """Close the pooled connections."""
        self._transport.close()

    def _rule(self, provider: Provider, operation: str) -> Rule:
        rule = RULES.get(provider, {}).get(operation)
        if rule is None:
            raise self._refusal(provider, "unknown", "operation")
        return rule

    def _refusal(self, provider: Provider, operation: str, why: str) -> EgressRefused:
        EGRESS_REFUSED.labels(provider, operation).inc()
        return EgressRefused(f"egress-{why}")

    def _fault(self, rule: Rule, request: requests.PreparedRequest) -> str | None:
        if request.method != rule.method:
            return "method"
        base, url = urlsplit(getattr(self._settings, rule.base)), urlsplit(request.url or "")
        checks = (
            ("host", _same_host(base, url)),
            ("path", _path_allowed(rule, base, url.path)),
            ("query", _query_allowed(rule, url.query)),
            ("header", _headers_allowed(rule, request.headers)),
            ("body", _body_allowed(rule, request.body)),
        )
        return next((name for name, fine in checks if not fine), None)

    def _exchange(self, request: requests.PreparedRequest, deadline: float) -> Answer:
        left = deadline - time.monotonic()
        try:
            with until(deadline):
                response = self._transport.exchange(request, min(self._settings.connect_timeout, left), left)
                with closing(response):
                    return _read(response)
        except (RequestException, HTTPError, TimeoutError, OSError) as error:
            raise Unreachable(_label(error)) from None


def _read(response: requests.Response) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    if headers.get("content-encoding", "identity") != "identity":
        raise Unreachable("unreadable-answer")
    body = bytearray()
    while chunk := response.raw.read(CHUNK, decode_content=False):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise Unreachable("answer-too-large")
    return Answer(response.status_code, headers, bytes(body))


def _label(error: Exception) -> str:
    if isinstance(error, SSLError):
        return "tls-failed"
    if isinstance(error, ConnectTimeout):
        return NO_CONNECTION
    if isinstance(error, Timeout | ReadTimeoutError | TimeoutError):
        return "timed-out"
    if isinstance(error, NoConnection) and "NewConnectionError" in repr(error):
        return NO_CONNECTION
    return "connection-broken"


def _same_host(base: SplitResult, url: SplitResult) -> bool:
    return url.scheme == "https" and url.netloc.lower() == base.netloc.lower() and not url.fragment


def _path_allowed(rule: Rule, base: SplitResult, path: str) -> bool:
    prefix = "" if rule.from_root else re.escape(base.path.rstrip("/"))
    climbs = any(part in (".", "..") for part in re.split(r"[/\\]", unquote(path)))
    return not climbs and re.fullmatch(prefix + rule.path, path) is not None


def _query_allowed(rule: Rule, query: str) -> bool:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=20)
    except ValueError:
        return False
    names = [name for name, _ in pairs]
    known = all(name in rule.query and re.fullmatch(rule.query[name], value) for name, value in pairs)
    return known and len(names) == len(set(names)) and rule.required <= set(names)


def _headers_allowed(rule: Rule, headers: Mapping[str, str | bytes]) -> bool:
    allowed = {**HEADERS, **rule.headers}
    given = {name.lower(): value for name, value in headers.items()}
    return rule.headers.keys() <= given.keys() and all(
        name in allowed and isinstance(value, str) and re.fullmatch(allowed[name], value)
        for name, value in given.items()
    )


def _body_allowed(rule: Rule, body: str | bytes | Any | None) -> bool:
    if not body or rule.body == "none":
        return not body and rule.body == "none"
    if not isinstance(body, str | bytes):
        return False
    try:
        names = _form_names(body) if rule.body == "form" else set(_names(msgspec.json.decode(body)))
    except (ValueError, RecursionError, msgspec.DecodeError):
        return False
    return names <= rule.fields


def _form_names(body: str | bytes) -> set[str]:
    text = body if isinstance(body, str) else body.decode("ascii")
    pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, max_num_fields=20)
    names = {name for name, _ in pairs}
    if len(names) != len(pairs):
        raise ValueError("a form field stands twice")
    return names


def _names(value: Any, prefix: str = "") -> Iterable[str]:
    if isinstance(value, list):
        for item in value:
            yield from _names(item, prefix)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield f"{prefix}{key}"
            yield from _names(inner, f"{prefix}{key}.")


def _literal(pattern: str) -> str:
    return re.sub(r"\\(.)", r"\1", pattern)

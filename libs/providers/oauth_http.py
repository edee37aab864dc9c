"""Lets requests-oauthlib and msal go through the door, and keeps from their logs what they would write there.

Both log bodies: requests-oauthlib at DEBUG, msal at ERROR when an answer is not JSON. So answers are judged here first.
"""

import json
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from libs.contracts.events import Provider
from libs.providers.answers import Answer
from libs.providers.egress import Door
from libs.providers.errors import RateLimited, Unreachable

DISCOVERY_SECONDS = 24 * 3600.0
LOUD = ("oauthlib", "requests_oauthlib", "msal", "urllib3", "requests")


def silence() -> None:
    """Keep the OAuth libraries from logging: at DEBUG they write codes, verifiers, secrets and tokens."""
    for name in LOUD:
        logging.getLogger(name).setLevel(logging.CRITICAL)


silence()


class DoorAdapter(BaseAdapter):
    """A transport for `requests` sessions (OAuth2Session is one) whose every request is one operation at the door."""

    def __init__(self, door: Door, provider: Provider, operation: str) -> None:
        super().__init__()
        self._door = door
        self._provider = provider
        self._operation = operation

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Send. Time-outs, certificates and proxies are the door's own business, so what the caller says of them is not heard.

        Raises EgressRefused, and Unreachable or RateLimited for answers that say nothing about the grant.
        """
        answer = _judged(self._door.send(self._provider, self._operation, request))
        response = requests.Response()
        response.status_code = answer.status
        response.headers = CaseInsensitiveDict(answer.headers)
        response._content = answer.body  # requests has no other way to make a Response of bytes
        response.encoding = "utf-8"
        response.url = request.url or ""
        response.request = request
        return response

    def close(self) -> None:
        """Nothing to close: the connections are the door's."""


class Reply:
    """What msal reads of an answer."""

    def __init__(self, status: int, text: str) -> None:
        self.status_code = status
        self.text = text
        self.headers: dict[str, str] = {}

    def raise_for_status(self) -> None:
        """Nothing left to raise: answers that are not about the request itself never get here."""


class MsalHttp:
    """The `http_client` of msal. Discovery documents are kept for a day; headers that would name machine or account are dropped."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Reply]] = {}

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> Reply:
        """Discovery; the only thing msal gets."""
        del headers
        with self._lock:
            until, reply = self._kept.get(url, (0.0, Reply(0, "")))
        if time.monotonic() < until:
            return reply
        reply = self._send("oauth.discovery", requests.Request("GET", url, params=params))
        if reply.status_code == 200:
            with self._lock:
                self._kept[url] = (time.monotonic() + DISCOVERY_SECONDS, reply)
        return reply

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> Reply:
        """The token endpoint; the only thing msal posts to."""
        given: Mapping[str, str] = headers or {}
        kept = {name: value for name, value in given.items() if name.lower() == "authorization"}
        return self._send("oauth.token", requests.Request("POST", url, params=params, data=data, headers=kept))

    def close(self) -> None:
        """Nothing to close: the connections are the door's."""

    def _send(self, operation: str, request: requests.Request) -> Reply:
        answer = _judged(self._door.send("microsoft", operation, request.prepare()))
        return Reply(answer.status, answer.body.decode())


def _judged(answer: Answer) -> Answer:
    """The answer, if it is a JSON object (or empty, as a revocation's may be) that is about the request."""
    if answer.status == 429:
        raise RateLimited("oauth-429", answer.retry_after)
    if answer.status >= 500:
        raise Unreachable(f"oauth-{answer.status}", answer.retry_after)
    try:
        fine = not answer.body or isinstance(json.loads(answer.body), dict)
    except (ValueError, RecursionError):
        fine = False
    if not fine:
        raise Unreachable("unreadable-answer")
    return answer

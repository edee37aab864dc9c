"""The site without sockets: a browser that calls the application, and a bus that only remembers."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from example_site.app import application
from example_site.bus import BusTrouble
from example_site.desk import Desk
from example_site.links import Links
from example_site.memory import Memory
from example_site.sealing import SealUnavailable
from example_site.settings import Host, Settings

SECRET = "a secret that is long enough for this"
SOURCE = "urn:example:site"
NOW = datetime(2026, 11, 30, 9, 7, tzinfo=UTC)
BOOKING = "bk_" + "a" * 26


class FakeBus:
    """Remembers what is published, answers what it was told to."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answer: Any = {"slots": []}
        self.down = False

    def publish(self, kind: str, body: bytes) -> None:
        if self.down:
            raise BusTrouble("down")
        self.published.append((kind, body))

    def ask(self, question: str, **kwargs: Any) -> Any:
        if self.down:
            raise BusTrouble("down")
        self.asked.append((question, kwargs))
        return self.answer

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.published]


@dataclass
class Page:
    """An answer to a browser."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def goes_to(self) -> str:
        return self.headers["location"]

    def hidden(self, name: str) -> str:
        """The value of a hidden field."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.text)
        assert found, self.text
        return found[1]

    def links(self, start: str) -> list[str]:
        """Where links go, of those that begin so."""
        return [
            link.replace("&amp;", "&") for link in re.findall(r'href="([^"]+)"', self.text) if link.startswith(start)
        ]


@dataclass
class Site:
    """The site and everything around it."""

    bus: FakeBus = field(default_factory=FakeBus)
    memory: Memory = field(default_factory=lambda: Memory(SOURCE))
    links: Links = field(default_factory=lambda: Links(SECRET))
    now: datetime = NOW
    sealed: list[dict[str, Any]] = field(default_factory=list)
    seals: bool = True

    def __post_init__(self) -> None:
        self.app = application(Desk(settings(), self.bus, self.memory, self.links, self._seal, lambda: self.now))

    def get(self, path: str, **headers: str) -> Page:
        return self._call("GET", path, b"", headers)

    def post(self, path: str, form: Mapping[str, str] | bytes = b"", **headers: str) -> Page:
        body = form if isinstance(form, bytes) else urlencode(form).encode()
        return self._call("POST", path, body, {"content-type": "application/x-www-form-urlencoded", **headers})

    def hear(self, kind: str, request: str, version: int, **data: Any) -> None:
        """Valet says something about the booking that came of a request."""
        about = {
            "booking": BOOKING,
            "version": version,
            "request": {"source": SOURCE, "id": request},
            "host": "dr-example",
        }
        self.memory.hear({"type": kind, "traceparent": f"00-{request}-{'1' * 16}-01", "data": {**about, **data}})

    def _seal(self, content: dict[str, Any]) -> str:
        if not self.seals:
            raise SealUnavailable("down")
        self.sealed.append(content)
        return f"sealed-{len(self.sealed)}"

    def _call(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Page:
        return asyncio.run(_called(self.app, method, path, body, {"host": "site.example", **headers}))


def settings(**changes: Any) -> Settings:
    """Settings of a site that offers two hosts."""
    hosts = {
        "dr-example": Host(host="dr-example", name="Dr. Example", minutes=(30, 60)),
        "ms-sample": Host(host="ms-sample", name="Ms. Sample"),
    }
    made = {
        "amqp_url": "amqps://site:word@localhost/valet",
        "secret": SECRET,
        "valet_url": "https://localhost",
        "ca_bundle": "",
        "tls_cert": "",
        "tls_key": "",
        "hosts": hosts,
        "source": SOURCE,
        "zone": "America/New_York",
    }
    return Settings(**(made | changes))


def slots(start: datetime, count: int, minutes: int = 30) -> dict[str, Any]:
    """What Valet says if so many times are free one after the other."""
    step = timedelta(minutes=minutes)
    times = [start + at * step for at in range(count)]
    return {"slots": [{"start": at.isoformat(), "end": (at + step).isoformat()} for at in times]}


async def _called(app: Any, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Page:
    address, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": address,
        "raw_path": address.encode(),
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "scheme": "https",
        "server": ("site.example", 443),
        "root_path": "",
        "http_version": "1.1",
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    told = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    text = b"".join(message.get("body", b"") for message in sent[1:]).decode()
    return Page(sent[0]["status"], told, text)

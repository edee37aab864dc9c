"""Auth as a host meets it: its pages over TLS, with the sandbox as both providers. For tests of the whole way."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import requests
from pydantic import SecretStr
from werkzeug.serving import make_server

from deploy.sandbox.browser import approve
from deploy.sandbox.client import SandboxAdmin
from deploy.sandbox.registrations import (
    GOOGLE_CLIENT_ID,
    GOOGLE_CLIENT_SECRET,
    MICROSOFT_CLIENT_ID,
    MICROSOFT_CLIENT_SECRET,
)
from libs.config import clock
from libs.config.settings import Settings
from libs.contracts.events import Provider
from libs.providers.adapters import calendars
from libs.providers.egress import Door
from services.auth import handlers
from services.auth.desk import Desk
from services.auth.google import GoogleOAuth
from services.auth.microsoft import MicrosoftOAuth
from services.auth.oauth import OAuth
from services.auth.pages import Pages
from tests.unit.auth.doubles import World, world

EMAIL = "ada.example@example.com"
TOKEN_OPERATIONS = {"google": "google.token", "microsoft": "microsoft.token"}


@dataclass
class Auth:
    """Auth's pages at `url`, on a store in memory, with the providers played by the sandbox. The clock is the test's."""

    url: str
    ca: str
    world: World
    desk: Desk
    admin: SandboxAdmin

    def link(self, host: str = "dr-example", provider: str | None = None) -> str:
        return str(handlers.connect_link(host, provider, self.desk)["url"])

    def connect(self, provider: str, host: str = "dr-example", email: str = EMAIL, **more: Any) -> requests.Response:
        return approve(self.link(host, provider), email, self.ca, **more)

    def leave_link(self, host: str = "dr-example") -> str:
        return str(handlers.disconnect_link(host, self.desk)["url"])

    def access(self, host: str = "dr-example") -> dict[str, Any]:
        return dict(handlers.access_tokens([host], None, self.desk)[host])

    def exchanges(self) -> int:
        return sum(len(self.admin.requests(operation)) for operation in TOKEN_OPERATIONS.values())


@contextmanager
def serving(certificate: tuple[Path, Path], app: Any) -> Iterator[str]:
    cert, key = map(str, certificate)
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=(cert, key))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{server.port}"
    finally:
        server.shutdown()
        thread.join(5)


@contextmanager
def connectable(
    admin: SandboxAdmin, settings: Settings, certificate: tuple[Path, Path], provider_timeout: float = 3
) -> Iterator[Auth]:
    """Auth with one person at each provider, who may take so many seconds to answer."""
    admin.create_account("google", EMAIL, name="Ada Example")
    admin.create_account("microsoft", EMAIL, name="Ada Example")
    pages: list[Pages] = []

    def app(environ: Any, start: Any) -> Any:
        return pages[0](environ, start)  # made when the address is known

    with serving(certificate, app) as url:
        known = settings.model_copy(
            update={
                "public_url": url,
                "provider_timeout": provider_timeout,
                "google_client_id": GOOGLE_CLIENT_ID,
                "google_client_secret": SecretStr(GOOGLE_CLIENT_SECRET),
                "microsoft_client_id": MICROSOFT_CLIENT_ID,
                "microsoft_client_secret": SecretStr(MICROSOFT_CLIENT_SECRET),
            }
        )
        made, door = world(), Door(known)
        oauth: dict[Provider, OAuth] = {"google": GoogleOAuth(door, known), "microsoft": MicrosoftOAuth(door, known)}
        made.clock.now = clock.now()
        desk = replace(made.desk, oauth=oauth, refreshing=oauth, calendars=calendars(known), public_url=url)
        pages.append(Pages(desk, known, dict))
        yield Auth(url, str(certificate[0]), made, desk, admin)

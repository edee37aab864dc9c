"""Auth: what comes in, and which use case answers it.

Run with `python -m libs.messaging.run services.auth.service`.

The pages hosts see (`/connect/…`, `/oauth/…/callback`, `/disconnect/…`) are in pages.py and are served by the wiring.
"""

from typing import Any

from libs.crypto.rotation import Most
from libs.messaging.entrypoints import answers, every
from libs.mongo.errors import StoreUnavailable
from services.auth import handlers, switching
from services.auth.canary import TICK
from services.auth.disconnecting import resume
from services.auth.wiring import AuthWiring, Use


class AuthService:
    """Keeps hosts' grants, and hands out access tokens that work."""

    name = "auth"
    use: Use = AuthWiring()

    @answers(handlers.BadQuestion)
    def connect_link(self, host: str, provider: str | None = None) -> dict[str, Any]:
        return handlers.connect_link(host, provider, self.use.desk)

    @answers(handlers.BadQuestion)
    def access_tokens(self, hosts: list[str], rejected: dict[str, int] | None = None) -> dict[str, Any]:
        return handlers.access_tokens(hosts, rejected, self.use.desk)

    @answers()
    def hosts(self) -> list[dict[str, Any]]:
        return handlers.hosts(self.use.desk)

    @answers(handlers.BadQuestion)
    def list_hosts(self, asked: dict[str, Any]) -> dict[str, Any]:
        return handlers.list_hosts(asked, self.use.desk)

    @answers()
    def connections(self) -> list[dict[str, Any]]:
        return handlers.connections(self.use.desk)

    @answers(handlers.BadQuestion)
    def history(self, host: str) -> dict[str, list[dict[str, Any]]]:
        return handlers.history(host, self.use.desk)

    @answers(handlers.BadQuestion)
    def calendars(self, host: str) -> list[dict[str, Any]]:
        return handlers.calendars(host, self.use.desk)

    @answers(handlers.BadQuestion)
    def set_calendars(self, host: str, calendars: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return handlers.set_calendars(host, calendars, self.use.desk)

    @answers(handlers.BadQuestion)
    def disconnect(self, host: str, connection: str | None = None) -> dict[str, Any]:
        return handlers.disconnect(host, connection, self.use.desk)

    @answers(handlers.BadQuestion)
    def disconnect_link(self, host: str) -> dict[str, Any]:
        return handlers.disconnect_link(host, self.use.desk)

    @answers()
    def providers(self) -> list[dict[str, Any]]:
        return handlers.providers(self.use.desk.switchboard)

    @answers(handlers.BadQuestion)
    def switch_provider(self, provider: str, on: bool, why: str | None = None) -> dict[str, Any]:
        return handlers.switch_provider(provider, on, why, self.use.desk.switchboard)

    @answers(StoreUnavailable)
    def keys(self) -> dict[str, Any]:
        return self.use.rotation.status()

    @answers(StoreUnavailable)
    def rewrap_keys(self, most: Most, after: str = "") -> dict[str, Any]:
        return self.use.rotation.rewrap(most, after)

    @every(seconds=TICK)
    def prove_grants(self) -> None:
        self.use.canary.tick()

    @every(seconds=1)
    def learn_switches(self) -> None:
        switching.learn(self.use.desk.switchboard)

    @every(seconds=5)
    def finish_disconnecting(self) -> None:
        resume(self.use.desk)

    @every(seconds=1)
    def sweep_outboxes(self) -> None:
        for relay in self.use.relays:
            relay.sweep(self.use.settings.relay_seconds)

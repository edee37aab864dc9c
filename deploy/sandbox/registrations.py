"""The client registrations ("apps") the sandbox knows, as one would make them in either provider's console."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from deploy.sandbox.accounts import Provider

# Made up, and known to everybody: they open nothing but the sandbox.
GOOGLE_CLIENT_ID: Final = "valet-local.apps.googleusercontent.com"
GOOGLE_CLIENT_SECRET: Final = "made-up-google-secret"
MICROSOFT_CLIENT_ID: Final = "7c0ffee0-0000-4000-8000-00000000ca1e"
MICROSOFT_CLIENT_SECRET: Final = "made-up-microsoft-secret"


@dataclass(frozen=True, slots=True)
class Registration:
    """One app. Without `redirect_uris` any address on this machine is taken, since local ports are chosen freely."""

    provider: Provider
    client_id: str
    client_secret: str
    redirect_uris: tuple[str, ...] = ()

    def redirects_to(self, uri: str) -> bool:
        """Whether the app may be answered at this address: compared exactly, as both providers do."""
        if self.redirect_uris:
            return uri in self.redirect_uris
        parts = urlsplit(uri)
        return (
            parts.scheme in ("https", "http")
            and parts.hostname in ("localhost", "127.0.0.1", "::1")
            and not parts.fragment
        )


def defaults() -> dict[tuple[Provider, str], Registration]:
    """One app per provider, for the local stack."""
    apps = (
        Registration("google", GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET),
        Registration("microsoft", MICROSOFT_CLIENT_ID, MICROSOFT_CLIENT_SECRET),
    )
    return {(app.provider, app.client_id): app for app in apps}

"""What auth asks of a provider's OAuth 2.0: the port, and what its answers mean. The adapters are google.py and microsoft.py."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from libs.contracts.events import Provider
from libs.providers.errors import GrantDead, ProviderError, TryLater, Unreachable
from services.auth.domain import Revocation

Params = Mapping[str, str]
"""The query of a callback; a name that stands twice in it never gets this far."""


class Suspicious(Exception):
    """What came back is not what this flow may bring: refused. `label` is a short word for logs and metrics."""

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self.label = label


@dataclass(frozen=True, slots=True)
class Start:
    """Where to send the browser, and what must be known when it comes back."""

    url: str = field(repr=False)
    secrets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Fresh:
    """New tokens. `refresh` is None where the old one goes on."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """What the host granted. `identity` names the account; `missing` lists what was asked for and not granted."""

    identity: str = field(repr=False)
    tokens: Fresh
    missing: tuple[str, ...] = ()


class OAuth(Protocol):
    """One provider. Errors: TryLater and its kin for passing trouble, GrantDead where the provider says invalid_grant."""

    provider: Provider

    def begin(self, state: str) -> Start:
        """Start a flow with PKCE (S256) and a nonce. Raises TryLater."""
        ...

    def check(self, params: Params) -> None:
        """Whether the callback can be this provider's. Raises Suspicious."""
        ...

    def finish(self, state: str, secrets: bytes, params: Params) -> Grant:
        """Exchange the code. Raises Suspicious for an ID token that is not for us, GrantDead for a code that is not good."""
        ...

    def refresh(self, refresh_token: str) -> Fresh:
        """A new access token."""
        ...

    def revoke(self, token: str | None) -> Revocation:
        """Take the whole grant of this account back, where the provider has such a thing; None if we have no token any more.

        Safe to repeat. Raises no ProviderError.
        """
        ...


DEAD: Final = frozenset({"invalid_grant", "interaction_required", "consent_required", "login_required"})
REFUSED: Final = frozenset({"access_denied", "interaction_required", "consent_required", "login_required"})
"""What a provider's page says in a callback (RFC 6749, 4.1.2.1; OpenID Connect Core 1.0, 3.1.2.6) when its person did not agree."""

OURS: Final = frozenset(
    {"invalid_client", "unauthorized_client", "invalid_request", "unsupported_grant_type", "invalid_scope"}
)
"""Errors that are about Valet's own registration: the grants may be fine, so none is dropped for them."""


def trouble(error: str) -> ProviderError:
    """What an OAuth `error` (RFC 6749, 5.2) means. Descriptions and codes such as AADSTS are never looked at."""
    if error in DEAD:
        return GrantDead(error.replace("_", "-"))
    if error in OURS:
        return TryLater(f"oauth-{error.replace('_', '-')}", 300)
    return Unreachable("oauth-error")

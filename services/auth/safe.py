"""Tokens and flows, sealed for the place where they rest."""

from datetime import datetime
from typing import Final

import msgspec

from libs.crypto.vault import Place, Vault, seal, unseal
from services.auth.domain import Connection, Tokens

FLOWS: Final = "flows"
"""The owner of the data key that seals what a flow must remember, for ten minutes at most."""


class _Tokens(msgspec.Struct, frozen=True):
    refresh: str
    access: str
    expires_at: datetime


class Safe:
    """Seals and opens. One data key per connection; the version is part of the place, so older tokens cannot come back."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def seal_tokens(self, connection: str, version: int, tokens: Tokens) -> bytes:
        """Sealed for this version of this connection."""
        key = self._vault.keys([connection])[connection]
        plain = msgspec.json.encode(_Tokens(tokens.refresh, tokens.access, tokens.expires_at))
        return seal(key, _tokens_at(connection, version), plain)

    def open_tokens(self, connection: Connection) -> Tokens:
        """Raises KeyDestroyed or SealBroken."""
        key = self._vault.key(connection.id)
        plain = unseal(key, _tokens_at(connection.id, connection.version), connection.sealed or b"")
        kept = msgspec.json.decode(plain, type=_Tokens)
        return Tokens(kept.refresh, kept.access, kept.expires_at)

    def seal_flow(self, flow: str, secrets: bytes) -> bytes:
        """Sealed for this flow."""
        return seal(self._vault.keys([FLOWS])[FLOWS], Place("flows", flow, "secrets"), secrets)

    def open_flow(self, flow: str, sealed: bytes) -> bytes:
        """Raises KeyDestroyed or SealBroken."""
        return unseal(self._vault.key(FLOWS), Place("flows", flow, "secrets"), sealed)

    def destroy(self, connection: str) -> bool:
        """Destroy the connection's key, and with it its tokens."""
        return self._vault.destroy(connection)


def _tokens_at(connection: str, version: int) -> Place:
    return Place("connections", connection, "tokens", version)

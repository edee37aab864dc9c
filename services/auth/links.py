"""The links that hosts are sent: signed, for one purpose, over after a while. Pure."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from libs.contracts.events import Provider

Purpose = Literal["connect", "disconnect"]


@dataclass(frozen=True, slots=True)
class Link:
    """An address for one host. `provider` limits a connect link to one."""

    id: str
    host: str
    provider: Provider | None
    expires_at: datetime


def new_link_id() -> str:
    """128 random bits in lower-case base32."""
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def sign(key: bytes, purpose: Purpose, link: Link) -> str:
    """The token of a link: id, end (epoch seconds) and HMAC-SHA256, which covers the purpose too."""
    claim = f"{link.id}.{int(link.expires_at.timestamp())}"
    return f"{claim}.{_signature(key, purpose, claim)}"


def verified(key: bytes, purpose: Purpose, token: str) -> tuple[str, datetime] | None:
    """Id and end of a link made for this purpose; None otherwise. Compared in constant time, and read only after that."""
    claim, _, signature = token.rpartition(".")
    if not hmac.compare_digest(_signature(key, purpose, claim).encode(), signature.encode("utf-8", "replace")):
        return None
    link, _, end = claim.partition(".")
    return link, datetime.fromtimestamp(int(end), UTC)


def _signature(key: bytes, purpose: Purpose, claim: str) -> str:
    raw = hmac.digest(key, f"{purpose}.{claim}".encode("utf-8", "replace"), hashlib.sha256)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")

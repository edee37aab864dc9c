"""Codes, tokens and consents of one provider. Everything is bounded, so a long load test cannot fill the memory."""

import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, TypeVar

from deploy.sandbox.accounts import Account

CODES: Final = 10_000
ACCESS_TOKENS: Final = 50_000
REFRESH_TOKENS: Final = 20_000

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Authorization:
    """What the person agreed to, until the code is exchanged."""

    account: Account
    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    challenge: str
    challenge_method: str
    nonce: str
    refreshable: bool
    issued: float


@dataclass(frozen=True, slots=True)
class Token:
    """An access or a refresh token: whose it is and what it allows. `expires` is a Unix time in seconds."""

    account: Account
    client_id: str
    scopes: tuple[str, ...]
    expires: float = float("inf")


@dataclass(slots=True)
class Grants:
    """The codes, tokens and consents one provider has given out."""

    codes: "OrderedDict[str, Authorization]" = field(default_factory=OrderedDict)
    access: "OrderedDict[str, Token]" = field(default_factory=OrderedDict)
    refresh: "OrderedDict[str, Token]" = field(default_factory=OrderedDict)
    consents: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def new_code(self, authorization: Authorization) -> str:
        """A code for one exchange."""
        return _keep(self.codes, "4/0" + secrets.token_urlsafe(32), authorization, CODES)

    def new_access(self, token: Token) -> str:
        """An access token."""
        return _keep(self.access, "sandbox.at." + secrets.token_urlsafe(32), token, ACCESS_TOKENS)

    def new_refresh(self, token: Token) -> str:
        """A refresh token."""
        return _keep(self.refresh, "sandbox.rt." + secrets.token_urlsafe(32), token, REFRESH_TOKENS)

    def bearer(self, value: str) -> Token | None:
        """The access token of that value, if it is known and has not expired."""
        token = self.access.get(value)
        return token if token is not None and time.time() < token.expires else None

    def owner(self, value: str) -> Account | None:
        """Whose access or refresh token this is, or was until it expired."""
        token = self.access.get(value) or self.refresh.get(value)
        return token.account if token is not None else None

    def revoke(self, account: Account) -> int:
        """Take back everything this person granted; how many tokens died by it."""
        before = len(self.access) + len(self.refresh)
        self.codes = OrderedDict((k, v) for k, v in self.codes.items() if v.account is not account)
        self.access = OrderedDict((k, v) for k, v in self.access.items() if v.account is not account)
        self.refresh = OrderedDict((k, v) for k, v in self.refresh.items() if v.account is not account)
        self.consents = {key: scopes for key, scopes in self.consents.items() if key[0] != account.email}
        return before - len(self.access) - len(self.refresh)

    def expire_access(self, account: Account | None) -> int:
        """Let the access tokens of this person (or of all) end now; how many did."""
        ended = [k for k, v in self.access.items() if account is None or v.account is account]
        for value in ended:
            token = self.access[value]
            self.access[value] = Token(token.account, token.client_id, token.scopes, 0.0)
        return len(ended)


def _keep(kept: "OrderedDict[str, Value]", key: str, value: Value, limit: int) -> str:
    kept[key] = value
    while len(kept) > limit:
        kept.popitem(last=False)
    return key

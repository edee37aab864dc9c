"""Everything the sandbox knows, in memory. One event loop works on it, so nothing here needs a lock."""

from collections import OrderedDict
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec
from joserfc.jwk import RSAKey

from deploy.sandbox.accounts import Account, Provider, calendar_id, new_account
from deploy.sandbox.calendars import Calendar
from deploy.sandbox.faults import Faults
from deploy.sandbox.grants import Grants
from deploy.sandbox.registrations import Registration, defaults
from deploy.sandbox.requestlog import RequestLog
from deploy.sandbox.traffic import Traffic

PENDING: Final = 5_000


class Settings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What can be turned while the sandbox runs. Times are seconds."""

    access_token_seconds: int = 3600
    code_seconds: int = 600
    # Graph repeats the first answer for a transactionId it still remembers; how long that is, Microsoft does not say.
    transaction_id_seconds: float = 3600.0
    # Microsoft does not revoke a refresh token when it hands out the next one. False plays the stricter providers.
    old_refresh_tokens_work: bool = True
    free_busy_days: int = 60


class World:
    """The state of both providers."""

    def __init__(self, traffic: Path | None = None) -> None:
        self.settings = Settings()
        self.registrations: dict[tuple[Provider, str], Registration] = defaults()
        self.faults = Faults()
        self.log = RequestLog()
        self.traffic = Traffic(traffic)
        self.clear()

    def clear(self) -> None:
        """Forget people, calendars and grants; faults, the log and the settings stay."""
        self.accounts: dict[tuple[Provider, str], Account] = {}
        self.grants: dict[Provider, Grants] = {"google": Grants(), "microsoft": Grants()}
        self.pending: OrderedDict[str, Any] = OrderedDict()
        self.in_flight: dict[str, int] = {}
        self.most_in_flight: dict[str, int] = {}

    @cached_property
    def key(self) -> RSAKey:
        """The key that signs ID tokens; made when first needed."""
        return RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)

    def account(self, provider: Provider, email: str) -> Account | None:
        """The account of that address."""
        return self.accounts.get((provider, email.lower()))

    def add_account(self, provider: Provider, email: str, name: str, time_zone: str) -> Account:
        """Make an account; if it is there already, that one."""
        known = self.account(provider, email)
        if known is None:
            known = new_account(provider, email.lower(), name, time_zone)
            self.accounts[provider, known.email] = known
        return known

    def add_calendar(self, account: Account, name: str, role: str) -> Calendar:
        """Make a secondary calendar; if one of that name is there already, that one."""
        identity = calendar_id(account.provider, account.email, name)
        return account.calendars.setdefault(identity, Calendar(identity, name, role))

    def people(self, provider: Provider) -> list[Account]:
        """All accounts of a provider, in the order they were made."""
        return [account for account in self.accounts.values() if account.provider == provider]

    def remember(self, key: str, pending: Any) -> None:
        """Keep an authorization request until the person answers it; the oldest go when there are too many."""
        self.pending[key] = pending
        while len(self.pending) > PENDING:
            self.pending.popitem(last=False)

"""What can go wrong with a provider.

ProviderError
├── TryLater            passing: try again, not before `retry_after` seconds
│   ├── Unreachable     no connection, time-out, 5xx, an answer that cannot be read
│   ├── RateLimited     429, or 403 with a rate reason
│   └── SwitchedOff     an operator has switched the provider off: nothing left the house
├── Unauthorized        the access token is not (or no longer) good: ask auth for another
├── GrantDead           the host must connect again
├── Refused             the provider will not do this, trying again changes nothing
│   ├── CalendarNotFound
│   ├── ForeignEntry    our id is taken by an entry that does not carry our mark
│   └── DeletedByHost   the host removed the entry: never write it again
└── EgressRefused       not on the allow-list: a fault of our own, nothing left the house

Texts hold labels only: no address, no title, no token, no body.
"""

from libs.contracts.reasons import Reason


class ProviderError(Exception):
    """The base. `reason` is what events say; `label` a short kebab-case word for logs and metrics."""

    reason = Reason.PROVIDER_UNAVAILABLE

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self.label = label


class TryLater(ProviderError):
    """Passing trouble. `retry_after` is in seconds, None where the provider named none."""

    def __init__(self, label: str, retry_after: float | None = None) -> None:
        super().__init__(label)
        self.retry_after = retry_after


class Unreachable(TryLater):
    """No connection, a time-out, a 5xx or an answer that cannot be read: whether it took effect is unknown."""


class RateLimited(TryLater):
    """Too many requests."""

    reason = Reason.RATE_LIMITED


class SwitchedOff(TryLater):
    """An operator has switched the provider off."""

    reason = Reason.PROVIDER_SWITCHED_OFF

    def __init__(self) -> None:
        super().__init__(Reason.PROVIDER_SWITCHED_OFF.value)


class Unauthorized(ProviderError):
    """The access token was not accepted (401)."""

    reason = Reason.RECONNECT_NEEDED


class GrantDead(ProviderError):
    """The refresh token was not accepted (`invalid_grant`): the host must connect again."""

    reason = Reason.RECONNECT_NEEDED


class Refused(ProviderError):
    """The provider will not do this (a 4xx that is none of the others)."""

    reason = Reason.REFUSED_BY_PROVIDER


class CalendarNotFound(Refused):
    """The calendar is not there, or not for us."""

    reason = Reason.CALENDAR_NOT_FOUND


class ForeignEntry(Refused):
    """The id is taken by an entry that is not ours. Nothing was overwritten."""

    reason = Reason.FOREIGN_ENTRY


class DeletedByHost(Refused):
    """The host deleted our entry. `told`: the provider says so itself; otherwise the entry was just not found."""

    reason = Reason.REMOVED_BY_HOST

    def __init__(self, label: str, *, told: bool = False) -> None:
        super().__init__(label)
        self.told = told


class EgressRefused(ProviderError):
    """The request is not on the allow-list and was not sent."""

    reason = Reason.REFUSED_BY_PROVIDER

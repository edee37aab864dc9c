"""Access to hosts' calendars, asked of auth for a whole batch at once and kept in memory for a short while."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from libs.contracts.questions import CalendarAccess, HostAccess
from libs.messaging.errors import RpcFailed, ServiceUnavailable
from libs.messaging.rpc import Ask

KEEP = 60.0
"""Seconds that an access is kept: so long, at most, a calendar is still used after its host took the access back."""
MARGIN = 30.0
"""Seconds that a token must have left, so that it does not expire under way."""
MOST = 10_000
"""Hosts whose access is kept, and as many tokens; the longest known go first."""


class AuthUnavailable(Exception):
    """Auth does not answer: nothing is known of the hosts' calendars."""


class Grants(Protocol):
    """What handlers need to know of the hosts' access."""

    def of(self, hosts: Iterable[str], within: float | None = None) -> dict[str, HostAccess]:
        """The access of each host, in so many seconds (without: as many as any question). Raises AuthUnavailable."""
        ...

    def forget(self, host: str, rejected: CalendarAccess | None = None) -> None:
        """Ask anew next time: the host's connection changed, or the provider did not accept the `rejected` token."""
        ...


class CachedGrants:
    """Grants from `auth.access_tokens`."""

    def __init__(self, ask: Ask, clock: Callable[[], float] = time.time) -> None:
        self._ask = ask
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, HostAccess]] = OrderedDict()
        self._rejected: dict[str, dict[str, int]] = {}
        self._connections: OrderedDict[str, str] = OrderedDict()

    def connection(self, token: str) -> str:
        """Which connection a token was given for: renewed ones have the same. Of a token not known (any more), itself."""
        return self._connections.get(token, token)

    def of(self, hosts: Iterable[str], within: float | None = None) -> dict[str, HostAccess]:
        wanted = list(dict.fromkeys(hosts))
        known = {host: access for host in wanted if (access := self._fresh(host))}
        missing = [host for host in wanted if host not in known]
        return known | (self._asked(missing, within) if missing else {})

    def forget(self, host: str, rejected: CalendarAccess | None = None) -> None:
        self._kept.pop(host, None)
        if rejected is not None:
            self._rejected.setdefault(host, {})[rejected.connection] = rejected.version
            while len(self._rejected) > MOST:  # while auth is away; who is forgotten is refused once more
                self._rejected.pop(next(iter(self._rejected)))

    def clear(self) -> None:
        """Ask anew for every host: something changed that concerns many."""
        self._kept.clear()

    def _fresh(self, host: str) -> HostAccess | None:
        until, access = self._kept.get(host, (0.0, None))
        return access if until > self._clock() else None

    def _asked(self, hosts: list[str], within: float | None) -> dict[str, HostAccess]:
        rejected = {name: version for host in hosts for name, version in self._rejected.get(host, {}).items()}
        try:
            answer = self._ask("auth", "access_tokens", hosts, rejected, deadline=within)
            found = msgspec.convert(answer, dict[str, HostAccess])
        except (ServiceUnavailable, RpcFailed, msgspec.ValidationError):
            raise AuthUnavailable from None
        for host, access in found.items():
            self._rejected.pop(host, None)
            self._note(access)
            self._keep(host, access)
        return {host: found.get(host, HostAccess(state="unknown")) for host in hosts}

    def _note(self, access: HostAccess) -> None:
        for calendar in access.calendars:
            if calendar.token:
                self._connections[calendar.token] = calendar.connection
                self._connections.move_to_end(calendar.token)
        while len(self._connections) > MOST:
            self._connections.popitem(last=False)

    def _keep(self, host: str, access: HostAccess) -> None:
        complete = access.state == "connected" and all(calendar.token for calendar in access.calendars)
        if not complete:
            return  # what is missing now may be there in a second
        until = min([self._clock() + KEEP, *(calendar.expires_at - MARGIN for calendar in access.calendars)])
        self._kept[host] = (until, access)
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)

"""Hosts' access to calendars, in memory."""

from collections.abc import Iterable

from libs.contracts.events import Provider
from libs.contracts.questions import CalendarAccess, HostAccess, HostState
from libs.messaging.grants import AuthUnavailable


class MemoryGrants:
    """The port `libs.messaging.grants.Grants`. With `away` set, auth does not answer."""

    def __init__(self) -> None:
        self.hosts: dict[str, HostAccess] = {}
        self.forgotten: list[str] = []
        self.rejected: list[CalendarAccess] = []
        self.asked: list[list[str]] = []
        self.away = False

    def of(self, hosts: Iterable[str], within: float | None = None) -> dict[str, HostAccess]:
        """See the port; a host that was not arranged is unknown."""
        wanted = list(dict.fromkeys(hosts))
        self.asked.append(wanted)
        if self.away:
            raise AuthUnavailable
        return {host: self.hosts.get(host, HostAccess(state="unknown")) for host in wanted}

    def forget(self, host: str, rejected: CalendarAccess | None = None) -> None:
        """See the port."""
        self.forgotten.append(host)
        if rejected is not None:
            self.rejected.append(rejected)

    def connect(self, host: str, *calendars: CalendarAccess) -> None:
        """Arrange that the host is connected to these calendars, or to one of Google's."""
        self.hosts[host] = HostAccess(state="connected", calendars=list(calendars) or [calendar_of(host)])

    def set_state(self, host: str, state: HostState) -> None:
        """Arrange a host without usable access."""
        self.hosts[host] = HostAccess(state=state)


def calendar_of(host: str, provider: Provider = "google", *, token: str | None = "", name: str = "") -> CalendarAccess:
    """One calendar of a host. `token` is `token-<calendar>` unless given; None for one without a token now."""
    calendar = name or f"calendar-of-{host}"
    return CalendarAccess(
        connection=f"cn_{host}_{provider}",
        provider=provider,
        calendar=calendar,
        token=f"token-{calendar}" if token == "" else token,
        expires_at=4e9,
    )

"""How a host sets out to connect: a link, a provider, and off to its pages."""

from dataclasses import dataclass, field

from libs.contracts.events import Provider
from libs.providers.errors import EgressRefused, ProviderError
from libs.telemetry.logs import logger
from services.auth import domain
from services.auth.desk import Desk
from services.auth.domain import FLOW_LIFETIME, PROVIDERS, Flow
from services.auth.endings import Ended, Ending
from services.auth.invitations import open_link
from services.auth.links import Link


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and the cookie that binds the flow to it."""

    url: str = field(repr=False)
    browser: str = field(repr=False)


def depart(token: str, provider: str, browser: str | None, desk: Desk) -> Departure:
    """Start a flow. `browser` is the cookie's value, if there is one. Raises Ended."""
    link = open_link(token, "connect", desk)
    chosen = next((name for name in offered(link) if name == provider), None)
    if chosen is None:
        raise Ended(Ending.LINK_WRONG)
    refuse_off(chosen, desk)
    state, cookie = domain.new_secret(), browser or domain.new_secret()
    try:
        start = desk.oauth[chosen].begin(state)
    except ProviderError as error:
        raise unavailable(chosen, error) from None
    id = domain.digest(state)
    sealed = desk.safe.seal_flow(id, start.secrets)
    ends = desk.clock() + FLOW_LIFETIME
    desk.store.add_flow(Flow(id, chosen, domain.digest(cookie), link.id, link.host, ends, sealed))
    return Departure(start.url, cookie)


def offered(link: Link) -> tuple[Provider, ...]:
    """The providers a link lets its host choose from."""
    return PROVIDERS if link.provider is None else (link.provider,)


def refuse_off(provider: Provider, desk: Desk) -> None:
    """Raises Ended if an operator has switched the provider off."""
    if provider in desk.switchboard.off():
        raise Ended(Ending.SWITCHED_OFF)


def unavailable(provider: Provider, error: ProviderError) -> Ended:
    """What to raise when a provider cannot be reached."""
    level = logger().error if isinstance(error, EgressRefused) else logger().warning
    level("provider not reached", provider=provider, why=error.label)
    return Ended(Ending.UNAVAILABLE)

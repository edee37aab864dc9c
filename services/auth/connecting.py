"""The way a host connects: a link, the provider's pages, the callback. Every step is refused unless it fits the one before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from libs.contracts.events import Provider
from libs.contracts.reasons import Reason
from libs.crypto.errors import CryptoError
from libs.providers.errors import EgressRefused, GrantDead, ProviderError
from libs.telemetry import metrics
from libs.telemetry.logs import logger
from services.auth import domain
from services.auth.desk import Desk
from services.auth.domain import FLOW_LIFETIME, Connection, Flow, Link, State, Tokens
from services.auth.oauth import Grant, Suspicious
from services.auth.outgoing import event_of
from services.auth.store import AccountTaken

PROVIDERS: tuple[Provider, ...] = ("google", "microsoft")


class Ending(StrEnum):
    """How a step can end. Each has a page of its own."""

    CONNECTED = "connected"
    LINK_WRONG = "link-wrong"
    LINK_OVER = "link-over"
    STATE_WRONG = "state-wrong"
    DENIED = "denied"
    NOT_ENOUGH = "not-enough"
    OWNED_BY_ANOTHER = "owned-by-another"
    UNTRUSTED = "untrusted"
    UNAVAILABLE = "unavailable"


class Ended(Exception):
    """The way ends here."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.value)
        self.ending = ending


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and the cookie that binds the flow to it."""

    url: str = field(repr=False)
    browser: str = field(repr=False)


def open_link(token: str, desk: Desk) -> Link:
    """The link behind a token. Raises Ended: LINK_WRONG if it was altered, LINK_OVER if it was used or has expired."""
    claim = domain.verified(desk.link_key, token)
    if claim is None:
        raise Ended(Ending.LINK_WRONG)
    link = desk.store.link(claim[0]) if claim[1] > desk.clock() else None
    if link is None or link.expires_at <= desk.clock():
        raise Ended(Ending.LINK_OVER)
    return link


def depart(token: str, provider: str, browser: str | None, desk: Desk) -> Departure:
    """Start a flow. `browser` is the cookie's value, if there is one. Raises Ended."""
    link = open_link(token, desk)
    chosen = next((name for name in offered(link) if name == provider), None)
    if chosen is None:
        raise Ended(Ending.LINK_WRONG)
    state, cookie = domain.new_secret(), browser or domain.new_secret()
    try:
        start = desk.oauth[chosen].begin(state)
    except ProviderError as error:
        raise _unavailable(chosen, error) from None
    id = domain.digest(state)
    sealed = desk.safe.seal_flow(id, start.secrets)
    ends = desk.clock() + FLOW_LIFETIME
    desk.store.add_flow(Flow(id, chosen, domain.digest(cookie), link.id, link.host, ends, sealed))
    return Departure(start.url, cookie)


def offered(link: Link) -> tuple[Provider, ...]:
    """The providers a link lets its host choose from."""
    return PROVIDERS if link.provider is None else (link.provider,)


def arrive(provider: Provider, params: Mapping[str, str], browser: str | None, desk: Desk) -> Connection:
    """The callback: the connection that stands then. Raises Ended; until the flow fits, the provider is not asked."""
    try:
        connection = _arrive(provider, params, browser, desk)
    except Ended as ended:
        metrics.CONNECTIONS_MADE.labels(provider, ended.ending.value).inc()
        logger().warning("not connected", provider=provider, why=ended.ending.value)
        raise
    metrics.CONNECTIONS_MADE.labels(provider, "connected").inc()
    logger().info("connected", provider=provider, host=connection.host, connection=connection.id)
    return connection


def _arrive(provider: Provider, params: Mapping[str, str], browser: str | None, desk: Desk) -> Connection:
    state = params.get("state", "")
    flow = _flow(provider, state, browser, desk)
    try:
        desk.oauth[provider].check(params)
    except Suspicious:
        raise Ended(Ending.STATE_WRONG) from None
    if "error" in params or "code" not in params:
        raise Ended(Ending.DENIED)
    if desk.store.link(flow.link) is None:
        raise Ended(Ending.LINK_OVER)
    grant = _grant(flow, state, params, desk)
    return _settle(flow, grant, desk)


def _flow(provider: Provider, state: str, browser: str | None, desk: Desk) -> Flow:
    """The flow that began in this browser, taken out so that it is used once."""
    if not state or not browser:
        raise Ended(Ending.STATE_WRONG)
    flow = desk.store.take_flow(domain.digest(state), provider, domain.digest(browser))
    if flow is None or flow.expires_at <= desk.clock():
        raise Ended(Ending.STATE_WRONG)
    return flow


def _grant(flow: Flow, state: str, params: Mapping[str, str], desk: Desk) -> Grant:
    try:
        kept = desk.safe.open_flow(flow.id, flow.sealed)
        return desk.oauth[flow.provider].finish(state, kept, params)
    except (Suspicious, GrantDead) as error:
        logger().warning("grant not trusted", provider=flow.provider, why=error.label)
        raise Ended(Ending.UNTRUSTED) from None
    except CryptoError as error:
        metrics.SEAL_BROKEN.inc()
        logger().error("flow does not open", error=type(error).__name__)
        raise Ended(Ending.UNTRUSTED) from None
    except ProviderError as error:
        raise _unavailable(flow.provider, error) from None


def _settle(flow: Flow, grant: Grant, desk: Desk) -> Connection:
    account = domain.account_digest(desk.account_key, flow.provider, grant.identity)
    standing = desk.store.by_account(account)
    if standing is not None and standing.host != flow.host:
        raise Ended(Ending.OWNED_BY_ANOTHER)  # and not revoked: that would take the other host's grant away too
    if grant.missing:
        _take_back(flow.provider, grant, standing, desk)
        raise Ended(Ending.NOT_ENOUGH)
    if not desk.store.consume_link(flow.link):
        raise Ended(Ending.LINK_OVER)
    tokens = Tokens(grant.tokens.refresh or "", grant.tokens.access, grant.tokens.expires_at)
    return _connected(flow, account, tokens, standing, desk)


def _take_back(provider: Provider, grant: Grant, standing: Connection | None, desk: Desk) -> None:
    """Leave nothing behind that we do not use; but a revocation takes all, so not where a connection lives on it."""
    if standing is None:
        desk.oauth[provider].revoke(grant.tokens.refresh or grant.tokens.access)


def _connected(flow: Flow, account: str, tokens: Tokens, standing: Connection | None, desk: Desk) -> Connection:
    while standing is not None:
        again = _again(standing, tokens, desk)
        if again is not None:
            return again
        standing = desk.store.by_account(account)
        if standing is not None and standing.host != flow.host:
            raise Ended(Ending.OWNED_BY_ANOTHER)
    now, id = desk.clock(), domain.new_connection_id()
    sealed = desk.safe.seal_tokens(id, 1, tokens)
    new = Connection(id, flow.host, flow.provider, State.CONNECTED, now, now, 1, account, tokens.expires_at, sealed)
    event = event_of(new, Reason.CONNECTED, now)
    try:
        desk.store.insert(new, event)
    except AccountTaken:
        desk.safe.destroy(id)
        raise Ended(Ending.OWNED_BY_ANOTHER) from None
    desk.relay.send({new.id: [event]})
    return new


def _again(standing: Connection, tokens: Tokens, desk: Desk) -> Connection | None:
    """The same account once more: new tokens for the old connection. None if somebody else wrote meanwhile."""
    now = desk.clock()
    sealed = desk.safe.seal_tokens(standing.id, standing.version + 1, tokens)
    newer = standing.with_tokens(sealed, tokens.expires_at, since=now)
    event = event_of(newer, Reason.RECONNECTED, now)
    if not desk.store.change(newer, standing.version, event):
        return None
    desk.relay.send({newer.id: [event]})
    return newer


def _unavailable(provider: Provider, error: ProviderError) -> Ended:
    level = logger().error if isinstance(error, EgressRefused) else logger().warning
    level("provider not reached", provider=provider, why=error.label)
    return Ended(Ending.UNAVAILABLE)

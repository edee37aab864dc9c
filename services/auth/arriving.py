"""How a host comes back from a provider's pages: every step is refused unless it fits the one before."""

from libs.contracts.events import Provider
from libs.contracts.reasons import Reason
from libs.crypto.errors import CryptoError
from libs.providers.errors import GrantDead, ProviderError
from libs.telemetry import metrics
from libs.telemetry.logs import logger
from services.auth import domain
from services.auth.connecting import refuse_off, unavailable
from services.auth.desk import Desk
from services.auth.domain import MOST_CONNECTIONS, Connection, Flow, State, Tokens
from services.auth.endings import Ended, Ending
from services.auth.oauth import OURS, REFUSED, Grant, Params, Suspicious
from services.auth.outgoing import note_of
from services.auth.store import AccountTaken


def arrive(provider: Provider, params: Params, browser: str | None, desk: Desk) -> Connection:
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


def _arrive(provider: Provider, params: Params, browser: str | None, desk: Desk) -> Connection:
    state = params.get("state", "")
    flow = _flow(provider, state, browser, desk)
    try:
        desk.oauth[provider].check(params)
    except Suspicious:
        raise Ended(Ending.STATE_WRONG) from None
    _agreed(provider, params)
    refuse_off(provider, desk)
    if desk.store.link(flow.link) is None:
        raise Ended(Ending.LINK_OVER)
    grant = _grant(flow, state, params, desk)
    return _settle(flow, grant, desk)


def _agreed(provider: Provider, params: Params) -> None:
    """Raises Ended unless there is a code. Who did not say no is not told that they did."""
    error = params.get("error")
    if error in REFUSED:
        raise Ended(Ending.DENIED)
    if error is not None:
        logger().warning("provider's page failed", provider=provider, why=error if error in OURS else "other")
        raise Ended(Ending.UNAVAILABLE)
    if not params.get("code"):
        raise Ended(Ending.STATE_WRONG)


def _flow(provider: Provider, state: str, browser: str | None, desk: Desk) -> Flow:
    """The flow that began in this browser, taken out so that it is used once."""
    if not state or not browser:
        raise Ended(Ending.STATE_WRONG)
    flow = desk.store.take_flow(domain.digest(state), provider, domain.digest(browser))
    if flow is None or flow.expires_at <= desk.clock():
        raise Ended(Ending.STATE_WRONG)
    return flow


def _grant(flow: Flow, state: str, params: Params, desk: Desk) -> Grant:
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
        raise unavailable(flow.provider, error) from None


def _settle(flow: Flow, grant: Grant, desk: Desk) -> Connection:
    account = domain.account_digest(desk.account_key, flow.provider, grant.identity)
    standing = _standing(flow, account, desk)
    if grant.missing:
        _take_back(flow.provider, grant, standing, desk)
        raise Ended(Ending.NOT_ENOUGH)
    if standing is None and len(domain.active(desk.store.connections([flow.host]))) >= MOST_CONNECTIONS:
        _take_back(flow.provider, grant, standing, desk)
        raise Ended(Ending.TOO_MANY)
    if not desk.store.consume_link(flow.link):
        raise Ended(Ending.LINK_OVER)
    tokens = Tokens(grant.tokens.refresh or "", grant.tokens.access, grant.tokens.expires_at)
    made: Connection | None = None
    while made is None:  # somebody else may write between our reading and our writing
        made = _again(standing, tokens, desk) if standing else _new(flow, account, tokens, desk)
        standing = standing if made else _standing(flow, account, desk)
    return made


def _standing(flow: Flow, account: str, desk: Desk) -> Connection | None:
    """The connection that has this account, if this flow may go on with it."""
    standing = desk.store.by_account(account)
    if standing is not None and standing.host != flow.host:
        raise Ended(Ending.OWNED_BY_ANOTHER)  # and not revoked: that would take the other host's grant away too
    if standing is not None and standing.state is State.DISCONNECTING:
        raise Ended(Ending.UNAVAILABLE)  # its revocation, under way, may well take the new grant too
    return standing


def _take_back(provider: Provider, grant: Grant, standing: Connection | None, desk: Desk) -> None:
    """Leave nothing behind that we do not use; but a revocation takes all, so not where a connection lives on it."""
    if standing is None:
        desk.oauth[provider].revoke(grant.tokens.refresh or grant.tokens.access)


def _new(flow: Flow, account: str, tokens: Tokens, desk: Desk) -> Connection | None:
    """A new connection. None if somebody else connected this account meanwhile."""
    now, id = desk.clock(), domain.new_connection_id()
    sealed = desk.safe.seal_tokens(id, 1, tokens)
    ends = tokens.expires_at
    new = Connection(id, flow.host, flow.provider, State.CONNECTED, now, now, 1, account, ends, sealed, proved_at=now)
    note = note_of(new, Reason.CONNECTED)
    try:
        desk.store.insert(new, note)
    except AccountTaken:
        desk.safe.destroy(id)
        return None
    desk.relay.send({new.id: note.events})
    return new


def _again(standing: Connection, tokens: Tokens, desk: Desk) -> Connection | None:
    """The same account once more: new tokens for the old connection. None if somebody else wrote meanwhile."""
    now = desk.clock()
    sealed = desk.safe.seal_tokens(standing.id, standing.version + 1, tokens)
    newer = standing.again(sealed, tokens.expires_at, now)
    note = note_of(newer, Reason.RECONNECTED)
    if not desk.store.change(newer, standing.version, note):
        return None
    desk.relay.send({newer.id: note.events})
    return newer

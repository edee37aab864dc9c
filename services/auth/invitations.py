"""Links for hosts: made for an operator or another service, opened by the pages."""

from datetime import timedelta
from typing import Any

from libs.contracts.events import HostId, Provider
from services.auth import links
from services.auth.desk import Desk
from services.auth.endings import Ended, Ending
from services.auth.links import Link, Purpose
from services.auth.questions import HOST, BadQuestion, checked


def connect_link(host: object, provider: object, desk: Desk) -> dict[str, Any]:
    """Invite a host: a signed link that works once, until `expires_at` (RFC 3339). Raises BadQuestion, StoreUnavailable."""
    known = checked(host, HostId, HOST)
    wanted = checked(provider, Provider | None, "provider: google, microsoft or nothing")
    if wanted is not None and wanted in desk.switchboard.off():
        raise BadQuestion(f"provider: one that is not switched off; {wanted} is, by an operator: see `valet provider`")
    desk.store.invite(known, desk.clock())
    return _made("connect", known, wanted, desk)


def disconnect_link(host: object, desk: Desk) -> dict[str, Any]:
    """A signed link to the page where a known host takes access back; it works until `expires_at` (RFC 3339).

    Raises BadQuestion, StoreUnavailable.
    """
    known = checked(host, HostId, HOST)
    if known not in desk.store.chosen([known]):
        raise BadQuestion("host: one that has been invited; this one is not known")
    return _made("disconnect", known, None, desk)


def open_link(token: str, purpose: Purpose, desk: Desk) -> Link:
    """The link behind a token. Raises Ended: LINK_WRONG if it was altered or is for something else, LINK_OVER if it was used
    or has expired."""
    claim = links.verified(desk.link_key, purpose, token)
    if claim is None:
        raise Ended(Ending.LINK_WRONG)
    link = desk.store.link(claim[0]) if claim[1] > desk.clock() else None
    if link is None or link.expires_at <= desk.clock():
        raise Ended(Ending.LINK_OVER)
    return link


def _made(purpose: Purpose, host: str, provider: Provider | None, desk: Desk) -> dict[str, Any]:
    ends = (desk.clock() + timedelta(seconds=desk.link_seconds)).replace(microsecond=0)
    link = Link(links.new_link_id(), host, provider, ends)
    desk.store.add_link(link)
    url = f"{desk.public_url}/{purpose}/{links.sign(desk.link_key, purpose, link)}"
    return {"url": url, "expires_at": ends.isoformat()}

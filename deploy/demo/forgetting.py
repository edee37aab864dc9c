"""One of the invitees is erased: what becomes of their bookings, and the receipt."""

import uuid
from collections.abc import Sequence

from deploy.cli.environment import settings_of
from deploy.cli.erasure import erase, receipts
from deploy.cli.erasure.progress import Erasure, steps
from deploy.cli.errors import Trouble
from deploy.cli.screen import Screen
from deploy.demo.bookings import Row
from deploy.demo.people import BEN, HOSTS
from deploy.demo.progress import step
from deploy.demo.setup import Stage
from libs.contracts.events import OPERATOR, RequestRef

PATIENCE = 120.0  # seconds: what others put off may wait for half a minute, and is waited for


def show(stage: Stage, rows: Sequence[Row], screen: Screen) -> bool:
    """Erase BEN, and show the receipt; whether nothing of his is left, and the receipt is genuine. Raises Trouble."""
    with step(screen, "one of the invitees is erased, by `valet erase`"):
        request = RequestRef(source=OPERATOR, id=str(uuid.uuid4()))
        found = erase.run(BEN.email, request, settings_of(stage.operator), PATIENCE)
    if found.receipt:
        screen.show(steps(found.receipt.steps))
    his = [row for row in rows if row.data.invitee == BEN and row.expected == "confirmed"]
    facts = {
        f"{_standing(stage, his)} of {len(his)} entries left in the calendars": _standing(stage, his) == 0,
        "the booking service knows none of these bookings any more": _unknown(stage, his),
        "the receipt is finished, and its signature genuine": found.over and _genuine(stage, found),
    }
    for words, good in facts.items():
        screen.line(screen.mark(good).append(f" {words}", "default"))
    return all(facts.values())


def _standing(stage: Stage, rows: Sequence[Row]) -> int:
    spans = {(row.who.host, *(at.isoformat() for at in row.span)) for row in rows}
    return sum(
        (who.host, *(event[name].replace("Z", "+00:00") for name in ("start", "end"))) in spans
        for who in HOSTS
        for event in stage.sandbox.events(who.provider, who.account, raw=False)
        if event["origin"] == "api" and not event["cancelled"]
    )


def _unknown(stage: Stage, rows: Sequence[Row]) -> bool:
    ids = [row.journey.booking for row in rows if row.journey.booking]
    return not any(stage.questions("booking", "journeys", ids).values())


def _genuine(stage: Stage, found: Erasure) -> bool:
    if found.event is None:
        return False
    try:
        receipts.see_genuine(found.event["data"], stage.questions("booking", "public_keys"))
    except Trouble:
        return False
    return True

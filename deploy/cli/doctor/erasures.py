"""Erasures that take too long: a person waits, and a law may."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from deploy.cli.answers import ErasureSeen
from deploy.cli.doctor.findings import Finding, bad, good
from deploy.cli.erasure.progress import age, waits_for
from libs.config.settings import Settings
from libs.messaging.errors import RpcError
from libs.messaging.link import Link
from libs.messaging.rpc import Ask

NAME = "erasures"
SECONDS = 3.0
LONG = timedelta(days=1)
"""An erasure takes seconds, unless something it needs is away. The GDPR gives a month (article 12, paragraph 3)."""


def check(settings: Settings) -> Iterator[Finding]:
    """Whether one is open for longer than a day. That booking does not answer, other checks say."""
    asker = Ask(Link(settings, "valet-doctor"), min(SECONDS, settings.rpc_timeout))
    try:
        found = msgspec.convert(asker("booking", "erasures"), list[ErasureSeen])
    except RpcError:
        return
    except msgspec.ValidationError:
        yield bad(NAME, "the answer of booking is not understood", "use the `valet` command of its release")
    else:
        yield judged(found, datetime.now(UTC))
    finally:
        asker.close()


def judged(found: list[ErasureSeen], now: datetime) -> Finding:
    """Open ones, the oldest first in the words."""
    waiting = sorted((one for one in found if one.state != "finished"), key=lambda one: one.asked_at)
    late = [one for one in waiting if now - one.asked_at > LONG]
    if not late:
        return good(NAME, f"{len(waiting)} open" if waiting else "none open")
    oldest = late[0]
    detail = f"{len(late)} open for too long; {oldest.erasure} for {age(oldest.asked_at, now)}"
    waits = waits_for(oldest.steps)
    advice = "have the host connect again if entries wait for that (`valet hosts`); else see what is red here"
    return bad(NAME, detail if waits == "-" else f"{detail}, waiting for {waits}", advice)

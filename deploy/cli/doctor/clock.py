"""Whether this machine's clock and the others' agree: tokens, links and holds all end by the clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from deploy.cli.doctor.findings import Finding, bad, good

NAME = "clock"
LIMIT = 5.0  # seconds
HTTP_DATE = 0.5  # an HTTP date is cut to whole seconds: on average this much is missing


@dataclass(frozen=True, slots=True)
class Reading:
    """What a server's clock said, and what ours said in the middle of the question. Seconds since 1970."""

    of: str
    theirs: float
    ours: float

    @property
    def skew(self) -> float:
        return self.theirs - self.ours


def from_header(of: str, date: str | None, ours: float) -> list[Reading]:
    """The reading in an HTTP `Date` header (RFC 9110, 6.6.1), if it is one."""
    try:
        at = parsedate_to_datetime(date or "")
    except ValueError:
        return []
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return [Reading(of, at.timestamp() + HTTP_DATE, ours)]


def judged(readings: Sequence[Reading]) -> Finding:
    """One line for all clocks."""
    if not readings:
        return bad(NAME, "nobody answered whose clock could be compared", "mend what else is red first")
    worst = max(readings, key=lambda reading: abs(reading.skew))
    if abs(worst.skew) > LIMIT:
        word = "ahead of" if worst.skew > 0 else "behind"
        detail = f"{worst.of} is {abs(worst.skew):.0f} s {word} this machine"
        return bad(NAME, detail, "keep all clocks right with NTP")
    return good(NAME, f"within {LIMIT:g} s of {len(readings)} others")

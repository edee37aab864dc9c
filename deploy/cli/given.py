"""Checks what was typed. Each complaint says what is wrong and what to do, and repeats nothing personal."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from deploy.cli.errors import Misuse
from libs.contracts.events import Address, BookingId, EventId, HostId, Name, Source, Title

_Label = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,63}\Z")]
_Erasure = Annotated[str, msgspec.Meta(pattern=r"^er_[a-z2-7]{26}\Z")]
_Connection = Annotated[str, msgspec.Meta(pattern=r"^cn_[a-z2-7]{26}\Z")]

KINDS: dict[str, tuple[Any, str]] = {
    "HOST": (HostId, "use small letters, digits, '.', '_' and '-', 64 at most, such as dr-example"),
    "ID": (_Erasure, "use the id that `valet erase` and `valet erasures` show, er_ and 26 letters and digits"),
    "BOOKING": (BookingId, "use the id that events and `valet book` give, such as bk_ and 26 letters and digits"),
    "--id": (EventId, "use visible ASCII without '@', 200 characters at most"),
    "--source": (Source, "use visible ASCII without '@', 200 characters at most, such as urn:example:front-desk"),
    "--name": (Name, "give 1 to 200 characters"),
    "--label": (_Label, "use small letters, digits and '-', 64 at most, such as host-is-ill"),
    "--connection": (_Connection, "use the id that `valet hosts` shows, cn_ and 26 letters and digits"),
    "--title": (Title, "give 1 to 200 characters"),
}
EARLIEST, LATEST = 1900, 9000  # years
ADDRESS = "give an e-mail address, such as ada@example.com"


def checked(what: str, text: str) -> str:
    """The text, if it can be such a thing. Raises Misuse."""
    kind, advice = KINDS[what]
    try:
        return str(msgspec.convert(text, kind))
    except msgspec.ValidationError:
        raise Misuse(f"{what} cannot be that", advice) from None


def address(text: str, what: str = "--email") -> str:
    """The text, if it looks like an e-mail address; whether it is one, the booking service judges. Raises Misuse."""
    local, _, domain = text.rpartition("@")
    try:
        if local and domain:
            return str(msgspec.convert(text, Address))
    except msgspec.ValidationError:
        pass
    raise Misuse(f"{what} is not an e-mail address", ADDRESS)


def zone(text: str) -> ZoneInfo:
    """An IANA time zone. Raises Misuse."""
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Misuse("--zone is not a known time zone", "give an IANA name, such as America/New_York") from None


def instant(what: str, text: str, where: ZoneInfo | None, *, day_is_enough: bool = False) -> datetime:
    """An instant in UTC: RFC 3339, or without an offset as the clocks of `where` show it. Raises Misuse."""
    form = "write it like 2030-05-17T09:30-04:00" + (", or without the offset and with --zone" if where is None else "")
    try:
        at = datetime.fromisoformat(text.strip().upper())
    except ValueError:
        raise Misuse(f"{what} is not a time", form) from None
    if len(text.strip()) <= 10 and not day_is_enough:
        raise Misuse(f"{what} is a day without a time", form)
    if not EARLIEST <= at.year <= LATEST:  # beyond, sums of times no longer fit into a calendar
        raise Misuse(f"{what} is not a time of these days", form)
    if at.tzinfo is not None:
        return at.astimezone(UTC)
    if where is None:
        raise Misuse(f"{what} has no offset from UTC", form)
    return _on_the_wall(what, at, where)


def fields(pairs: Sequence[str]) -> dict[str, str]:
    """`question=answer` pairs. Raises Misuse, which tells the position and not the text."""
    found: dict[str, str] = {}
    for number, pair in enumerate(pairs, 1):
        question, sign, answer = pair.partition("=")
        if not sign or not question.strip():
            raise Misuse(
                f"--field number {number} is not of the form question=answer", "write --field 'phone=555-0100'"
            )
        if question.strip() in found:
            raise Misuse(f"--field number {number} asks what another one asks already", "give each question once")
        found[question.strip()] = answer
    return found


def ordered(first: str, start: datetime, second: str, end: datetime) -> None:
    """Raises Misuse unless `start` is before `end`."""
    if end <= start:
        raise Misuse(f"{second} is not after {first}", f"give a later {second} or an earlier {first}")


def near(first: str, start: datetime, second: str, end: datetime, longest: timedelta) -> None:
    """Raises Misuse if `end` is more than `longest` after `start`."""
    if end - start > longest:
        raise Misuse(f"{second} is more than {longest.days} days after {first}", "ask for a shorter time")


def _on_the_wall(what: str, at: datetime, where: ZoneInfo) -> datetime:
    earlier, later = (at.replace(tzinfo=where, fold=fold) for fold in (0, 1))
    instants = earlier.astimezone(UTC), later.astimezone(UTC)
    if instants[0] == instants[1]:
        return instants[0]
    if instants[0].astimezone(where).replace(tzinfo=None) != at:
        raise Misuse(f"{what} does not exist in {where.key}: the clocks jump over it", "choose another time")
    raise Misuse(f"{what} comes twice in {where.key}: the clocks go back", "give it with its offset from UTC")

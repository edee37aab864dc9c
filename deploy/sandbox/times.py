"""Instants as the two providers write them. Inside the sandbox every instant is an aware datetime in UTC."""

from datetime import UTC, date, datetime, time, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

# Graph takes Windows zone names as well as IANA ones; these are the ones a test in the United States or Europe meets.
WINDOWS_ZONES: Final = {
    "Eastern Standard Time": "America/New_York",
    "Central Standard Time": "America/Chicago",
    "Mountain Standard Time": "America/Denver",
    "Pacific Standard Time": "America/Los_Angeles",
    "GMT Standard Time": "Europe/London",
    "W. Europe Standard Time": "Europe/Berlin",
    "Tokyo Standard Time": "Asia/Tokyo",
    "tzone://Microsoft/Utc": "UTC",
}


def now() -> datetime:
    """The present instant, in UTC."""
    return datetime.now(UTC)


def zone(name: str) -> tzinfo:
    """The time zone of that IANA or Windows name. ValueError if there is none."""
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(WINDOWS_ZONES.get(name, name))
    except (ZoneInfoNotFoundError, ValueError, OSError) as unknown:
        raise ValueError(f"unknown time zone: {name!r}") from unknown


def instant(text: str, default: tzinfo | None = None) -> datetime:
    """An RFC 3339 time as an instant in UTC; without an offset it is read in `default`. ValueError if it is not one."""
    if len(text) < len("2026-01-01T00:00") or text[10:11].upper() != "T":
        raise ValueError(f"not a date and time: {text[:40]!r}")
    # Graph writes seven decimals of a second; Python 3.11 reads the first six.
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        if default is None:
            raise ValueError(f"a time needs an offset: {text[:40]!r}")
        parsed = parsed.replace(tzinfo=default)
    return parsed.astimezone(UTC)


def midnight(day: str, where: tzinfo) -> datetime:
    """The instant in UTC at which that day (YYYY-MM-DD) begins in that zone. ValueError if it is not a day."""
    return datetime.combine(date.fromisoformat(day), time(), where).astimezone(UTC)


def rfc3339(moment: datetime, where: tzinfo = UTC) -> str:
    """As Google writes a time: whole seconds, `Z` for UTC, else the zone's offset."""
    return moment.astimezone(where).isoformat(timespec="seconds").replace("+00:00", "Z")


def rfc3339_millis(moment: datetime) -> str:
    """As Google writes `created`, `updated` and the bounds of a freeBusy answer: UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def graph_local(moment: datetime, where: tzinfo = UTC) -> str:
    """As Graph writes `dateTime` of a dateTimeTimeZone: no offset, seven decimals."""
    return moment.astimezone(where).replace(tzinfo=None).isoformat(timespec="microseconds") + "0"


def graph_utc(moment: datetime) -> str:
    """As Graph writes `createdDateTime`: UTC, seven decimals."""
    return graph_local(moment) + "Z"

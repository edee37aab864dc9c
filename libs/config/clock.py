"""The time of day, as the store keeps it."""

from datetime import UTC, datetime


def now() -> datetime:
    """This instant, in UTC, cut to milliseconds: MongoDB keeps no more, and what is read back must equal what was written."""
    at = datetime.now(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)

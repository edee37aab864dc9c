"""A clock that a test moves."""

from datetime import UTC, datetime, timedelta

START = datetime(2030, 1, 7, 9, 0, tzinfo=UTC)
"""A Monday morning, on every grid."""


class Clock:
    """Stands still until it is moved. Call it for the instant (UTC), `seconds` for seconds since the epoch."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def seconds(self) -> float:
        """The same instant as a number, for what counts in seconds."""
        return self.at.timestamp()

    def move(self, by: timedelta) -> datetime:
        """Let time pass; the instant it is then."""
        self.at += by
        return self.at

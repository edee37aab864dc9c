"""How long commands to MongoDB take, and how they end."""

from typing import Final

from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from libs.telemetry import metrics, tracing

COMMANDS: Final = frozenset({"find", "insert", "update", "delete", "aggregate", "findAndModify"})
"""Those that are told apart; all others are `other`."""


class CommandTimes(CommandListener):
    """Measures every command. That a write collided on a unique index is an answer like any other, so it counts as `done`."""

    def started(self, event: CommandStartedEvent) -> None:
        """Nothing yet."""

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """MongoDB answered."""
        _observe(event, "done")

    def failed(self, event: CommandFailedEvent) -> None:
        """It refused, or did not answer in time."""
        _observe(event, "failed")


def _observe(event: CommandSucceededEvent | CommandFailedEvent, outcome: str) -> None:
    command = event.command_name if event.command_name in COMMANDS else "other"
    seconds = event.duration_micros / 1_000_000
    metrics.STORE_SECONDS.labels(command, outcome).observe(seconds)
    labels = {"db.system.name": "mongodb", "db.operation.name": command, "valet.outcome": outcome}
    tracing.past(f"mongodb {command}", "client", seconds, labels)

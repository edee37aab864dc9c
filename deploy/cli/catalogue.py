"""Every command of `valet` by name, so that help and completion know them without importing them all."""

from typing import NamedTuple


class Listed(NamedTuple):
    """Where a command is declared, below deploy.cli, and what it does: the first sentence of its own help."""

    module: str
    does: str


COMMANDS = {
    "status": Listed(
        "status.command",
        "Show on one screen how Valet is: services, providers, queues, what is late, objectives, keys; what is wrong comes last.",
    ),
    "calendars": Listed(
        "access",
        "Show which of a host's calendars are read for busy times (--check, --ignore) and which one is written to (--write).",
    ),
    "disconnect": Listed(
        "access", "Take a host's access away from Valet: it is revoked at the provider, and the tokens are destroyed."
    ),
    "disconnect-link": Listed(
        "access", "Make a link at which a host takes the access back, without an operator: signed, for a short time."
    ),
    "backup": Listed(
        "backup.command",
        "Write everything that Valet stores into one new file in DIR; or see whether FILE is such a file, and whole.",
    ),
    "cancel": Listed("changes", "Cancel a booking, and watch until its entry is gone from the calendar."),
    "move": Listed("changes", "Move a booking to another time, and watch until its entry stands there."),
    "connect": Listed(
        "commands", "Make a link at which a host connects a calendar: signed, for one use, for a short time."
    ),
    "slots": Listed("commands", "Show when a host is free, or several together, or any of several."),
    "book": Listed("commands", "Ask for a booking as any other service does, by an event, and watch its journey."),
    "show": Listed(
        "commands",
        "Show a booking's state and history, a move that is not decided, a conflict that was found; nothing personal.",
    ),
    "doctor": Listed("doctor.command", "Check every setting, certificate and connection, and name what is wrong."),
    "hosts": Listed(
        "lists", "List the hosts: what they have connected, since when, when it last worked, which calendars are used."
    ),
    "bookings": Listed(
        "lists", "List bookings by when they begin: id, host, time, state, what the calendar says, and why."
    ),
    "restore": Listed("backup.restore", "Replace everything that Valet stores by a backup."),
    "erase": Listed("erasure.erase", "Erase a person: all that Valet knows of them, everywhere it can reach."),
    "erasures": Listed(
        "erasure.erasures", "List erasures, the newest first: how old they are, and what the open ones wait for."
    ),
    "reconcile": Listed("hosting", "Compare bookings and calendars now, and mend what differs."),
    "dead": Listed("dead", "Dead letters: what no service could handle waits here for you."),
    "host": Listed("hosting", "When a host may be booked: hours, buffers, notice, limits."),
    "keys": Listed("keys.command", "Master keys: what wraps the data keys of people and connections."),
    "provider": Listed(
        "provider", "A kill switch per provider: take Google or Microsoft out of use for the whole of Valet, and back."
    ),
    "receipt": Listed("erasure.receipts", "Receipts of erasures: whether they are genuine."),
}
"""In the order of `valet --help`. A test holds each sentence against the command's help."""

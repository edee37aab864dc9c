"""Key files of the local stack: the master keys of the services that seal personal data or tokens."""

from datetime import UTC, datetime
from pathlib import Path

from libs.crypto import keyfile, masters

SEALING_SERVICES = ("auth", "booking", "calendar-writer")


def ensure_keyring(file: Path) -> None:
    """Make the key file (mode 0600) unless it is there. An existing one is never touched: data hang on it."""
    if not file.exists():
        keyfile.create(file, masters.new(datetime.now(UTC)))

"""Keyring files: the master keys of the services that seal personal data or tokens."""

import base64
import json
import secrets
from pathlib import Path

from deploy.local.layout import write_file

SEALING_SERVICES = ("auth", "booking", "calendar-writer")


def ensure_keyring(file: Path) -> None:
    """Make the keyring file (mode 0600) unless it is there. An existing one is never touched: data hangs on it."""
    if file.exists():
        file.chmod(0o600)
        return
    keyring = {"format": "valet-keyring-1", "current": "k1", "keys": {"k1": _random_key()}, "index": _random_key()}
    write_file(file, json.dumps(keyring, indent=2) + "\n")


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()

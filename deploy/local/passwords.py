"""Random passwords of the stack's users, in one file that only its owner can read."""

import secrets
from collections.abc import Iterable
from pathlib import Path

from deploy.local.layout import read_table, write_table

LINKS_SECRET = "example-site/links"  # what the example site signs its links with


def ensure_passwords(file: Path, names: Iterable[str]) -> dict[str, str]:
    """The kept password of every name; new ones are made for names that have none. URL-safe, 192 bits each."""
    kept = {name: str(password) for name, password in read_table(file).items()}
    missing = {name: secrets.token_urlsafe(24) for name in names if name not in kept}
    if missing:
        kept |= missing
        write_table(file, kept)
    return kept

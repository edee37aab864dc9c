"""A service process's master keys: opened at start, watched from then on, and compared with what the store hangs on."""

import os
import socket
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from libs.config.settings import EX_CONFIG, EX_TEMPFAIL, Settings, stop
from libs.crypto.errors import KeyringError, KeyServiceUnavailable
from libs.crypto.keyring import Keyring, MasterKeys
from libs.crypto.kms import Kms
from libs.crypto.rotation import Rotation, WrappedKeys, check_index
from libs.crypto.watched import WatchedKeyring
from libs.telemetry import metrics
from libs.telemetry.logs import logger


def keyring(service: str, settings: Settings) -> MasterKeys:
    """The keys of VALET_KEYRING. Ends the process with one line if they cannot be used: with code 75 if KMS does not answer."""
    kms = Kms(service, production=settings.mode == "production")
    try:
        path = settings.keyring or Path()
        return WatchedKeyring(path, lambda file: Keyring.load(file, kms.opened), settings.keyring_seconds, Telling())
    except KeyServiceUnavailable as error:
        stop(f"VALET_KEYRING: {error}", EX_TEMPFAIL)
    except KeyringError as error:
        stop(f"VALET_KEYRING: {error}")
    except OSError as error:
        stop(f"VALET_KEYRING: cannot be read ({type(error).__name__})")


def rotation(masters: MasterKeys, store: WrappedKeys) -> Rotation:
    """What operators see and do of the data keys. Ends the process if the stored ones hang on other master keys."""
    made = Rotation(masters, store, f"{socket.gethostname()}:{os.getpid()}")
    try:
        made.check()
    except KeyringError as error:
        stop(f"VALET_KEYRING: {error}", EX_CONFIG)
    return made


def same_index(masters: MasterKeys, store: WrappedKeys) -> None:
    """For a service that wraps no data keys: end the process if its ids were made with another index."""
    try:
        check_index(masters, store)
    except KeyringError as error:
        stop(f"VALET_KEYRING: {error}", EX_CONFIG)


class Telling:
    """Tells the log and Prometheus how the keys stand. Trouble that goes on is logged once."""

    def __init__(self) -> None:
        self._said = ""
        self._seen: dict[str, datetime] = {}

    def read(self, keys: Keyring) -> None:
        """See `Hearer`."""
        self._said = ""
        metrics.KEYRING_UNUSABLE.set(0)
        metrics.KEYRING_INFO.clear()
        metrics.KEYRING_INFO.labels(keys.current).set(1)
        self._measure(keys)
        logger().info("master keys read", current=keys.current, known=sorted(keys.known))

    def _measure(self, keys: Keyring) -> None:
        """Have each key's age told at every look. An older key file does not say when a key was made."""
        now = datetime.now(UTC)
        self._seen = {name: self._seen.get(name, now) for name in keys.known}
        metrics.KEY_AGE.clear()
        for name, seen in self._seen.items():
            metrics.KEY_AGE.labels(name).set_function(partial(_age, _instant(keys.made.get(name, "")) or seen))

    def unusable(self, why: str) -> None:
        """See `Hearer`."""
        metrics.KEYRING_UNUSABLE.set(1)
        if why != self._said:
            logger().error("key file unusable, the keys read before are used on", why=why)
        self._said = why

    def lost(self, why: str) -> None:
        """See `Hearer`."""
        metrics.DATA_KEYS_UNREADABLE.inc()
        if why != self._said:
            logger().error("data key not unwrapped", why=why)
        self._said = why


def _instant(text: str) -> datetime | None:
    """An instant that stands in the key file; None if it is none."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None


def _age(since: datetime) -> float:
    return (datetime.now(UTC) - since).total_seconds()

"""Making key files, and the steps of a rotation on them: add a master key, use it, retire an old one. Pure; nothing is written."""

import secrets
from datetime import UTC, datetime

import msgspec

from libs.crypto import keyfile
from libs.crypto.errors import KeyringError
from libs.crypto.keyfile import KeyFile, KmsFile, PlainFile
from libs.crypto.keyring import SIZE
from libs.crypto.kms import INDEX, Kms, master


def new(now: datetime) -> PlainFile:
    """A key file with one master key and an index."""
    name = _name(now)
    return PlainFile(
        format="valet-keyring-1", current=name, keys={name: _random()}, index=_random(), made={name: _instant(now)}
    )


def new_at_kms(now: datetime, service: str, kms_key: str, kms: Kms) -> KmsFile:
    """The same for one service, its keys encrypted by AWS KMS. Raises KeyringError."""
    plain = new(now)
    return KmsFile(
        format="valet-keyring-kms-1",
        kms_key=kms_key,
        service=service,
        current=plain.current,
        keys={name: kms.encrypted(kms_key, master(name), key) for name, key in plain.keys.items()},
        index=kms.encrypted(kms_key, INDEX, plain.index),
        made=plain.made,
    )


def added(file: KeyFile, now: datetime, kms: Kms | None = None) -> tuple[KeyFile, str]:
    """The file with one more master key, not yet used, and its name. Raises KeyringError."""
    name, key = _name(now), _random()
    if isinstance(file, KmsFile):
        if kms is None:
            raise KeyringError("the key file's keys are encrypted by AWS KMS, and nothing here asks it")
        key = kms.encrypted(file.kms_key, master(name), key)
    return msgspec.structs.replace(file, keys=file.keys | {name: key}, made=file.made | {name: _instant(now)}), name


def using(file: KeyFile, name: str) -> KeyFile:
    """The file with new data keys to be wrapped by this master. Raises KeyringError."""
    _there(file, name)
    return msgspec.structs.replace(file, current=name)


def without(file: KeyFile, name: str) -> KeyFile:
    """The file without this master key. Raises KeyringError."""
    _there(file, name)
    if name == file.current:
        raise KeyringError(f"{name} wraps new data keys: use another one first")
    rest = {other: key for other, key in file.keys.items() if other != name}
    made = {other: at for other, at in file.made.items() if other != name}
    return msgspec.structs.replace(file, keys=rest, made=made)


def unused(file: KeyFile) -> str | None:
    """A master key that was added after the current one, as an interrupted rotation leaves it."""
    since = file.made.get(file.current, "")
    later = {name: at for name, at in file.made.items() if name in file.keys and at > since}
    return max(later, key=lambda name: later[name]) if later else None


def _there(file: KeyFile, name: str) -> None:
    if name not in file.keys:
        raise KeyringError(f"the key file has no master key {name}: it has {', '.join(sorted(file.keys))}")


def _name(now: datetime) -> str:
    # Never used twice, in no file: what a retired or lost key has wrapped must not be taken for another's.
    return f"k{now.astimezone(UTC):%Y%m%d}-{secrets.token_hex(3)}"


def _random() -> str:
    return keyfile.encoded(secrets.token_bytes(SIZE))


def _instant(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="milliseconds")

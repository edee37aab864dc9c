"""Key files on disk: who may read them, the two forms they have, and how they are written.

valet-keyring-1      {"format", "current", "keys": {name: 32 bytes in base64}, "index": …, "made": {name: RFC 3339, UTC}}
valet-keyring-kms-1  the same with every key encrypted by AWS KMS, and "kms_key" (an ARN) and "service" (whose file it is)

`made` says since when there is a key; older files lack it.
"""

import base64
import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from libs.crypto.errors import KeyringError

MOST = 65_536  # bytes; a key file is far smaller
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Keys = Annotated[dict[Name, str], msgspec.Meta(min_length=1)]


class PlainFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Keys in the clear, guarded by the file's permissions."""

    format: Literal["valet-keyring-1"]
    current: Name
    keys: Keys
    index: str
    made: dict[Name, str] = {}

    def __repr__(self) -> str:
        return f"PlainFile({self.current})"


class KmsFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Keys that AWS KMS opens, for this service alone."""

    format: Literal["valet-keyring-kms-1"]
    kms_key: str
    service: str
    current: Name
    keys: Keys
    index: str
    made: dict[Name, str] = {}


KeyFile = PlainFile | KmsFile
_FORMS: Mapping[str, type[KeyFile]] = {"valet-keyring-1": PlainFile, "valet-keyring-kms-1": KmsFile}


class _Form(msgspec.Struct):
    format: str


def read(path: Path) -> KeyFile:
    """The key file. Raises KeyringError if others could read or replace it, or it has no known form; OSError if it is not there."""
    _keep_out(path.absolute().parent)
    _keep_out(path.resolve().parent)
    with path.open("rb") as file:
        refuse_shared(os.fstat(file.fileno()), os.geteuid(), {os.getegid(), *os.getgroups()})
        raw = file.read(MOST + 1)
    return parse(raw)


def parse(raw: bytes) -> KeyFile:
    """The file's content in its form. Raises KeyringError, which quotes nothing of it."""
    try:
        form = _FORMS[msgspec.json.decode(raw, type=_Form).format] if len(raw) <= MOST else None
        if form is not None:
            return msgspec.json.decode(raw, type=form)
    except (msgspec.DecodeError, ValueError, KeyError, RecursionError):  # ValueError: not UTF-8
        pass
    raise KeyringError("the key file is not of the form valet-keyring-1 or valet-keyring-kms-1 (see deploy/README.md)")


def decoded(text: str) -> bytes:
    """A key's bytes. Raises KeyringError."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise KeyringError("the key file is not of its form: a key in it is not base64") from None


def encoded(key: bytes) -> str:
    """A key as it stands in a file."""
    return base64.b64encode(key).decode()


def refuse_shared(found: os.stat_result, user: int, groups: Collection[int]) -> None:
    """Raise KeyringError if others than `user`, or than one of the process's own groups, can do anything with the file.

    A group may read it where Kubernetes mounts a Secret so (0440, root and the pod's fsGroup), and never write it.
    """
    mode = stat.S_IMODE(found.st_mode)
    if mode & stat.S_IRWXO:
        raise KeyringError("others can read the key file: chmod 600 it")
    if mode & stat.S_IWGRP:
        raise KeyringError("its group can write the key file: chmod 600 it")
    if mode & stat.S_IRWXG and (found.st_uid not in (0, user) or found.st_gid not in groups):
        raise KeyringError("others can read the key file, through a group that is not the service's own: chmod 600 it")


def _keep_out(folder: Path) -> None:
    mode = folder.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise KeyringError("everybody can replace files in the key file's folder: take the right to write from others")


@contextmanager
def changing(path: Path) -> Iterator[Callable[[KeyFile], None]]:
    """Change a key file while nobody else does: `with changing(path) as write: write(changed(read(path)))`.

    What is written is there whole or not at all, is on the disk when `write` returns, and keeps the file's mode, owner and
    group. A symlink is followed. Raises OSError, for instance where the file is mounted read-only.
    """
    target = path.resolve()
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield lambda content: _replace(target, content)
        os.fsync(folder)
    finally:
        os.close(folder)


def create(path: Path, content: KeyFile) -> None:
    """Write a new key file, for its owner alone. Raises FileExistsError rather than replace one."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(_text(content))
        file.flush()
        os.fsync(file.fileno())


def _replace(target: Path, content: KeyFile) -> None:
    was = target.stat()
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_text(content))
            with suppress(PermissionError):  # only root gives files away; the mode then still keeps others out
                os.fchown(file.fileno(), was.st_uid, was.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(was.st_mode))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _text(content: KeyFile) -> bytes:
    return b"%b\n" % msgspec.json.format(msgspec.json.encode(content), indent=2)

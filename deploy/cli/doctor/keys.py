"""The key files: there, readable by their owner alone, and of the right form. Keys are never shown."""

from collections.abc import Mapping
from pathlib import Path

from deploy.cli.doctor.findings import Finding, bad, good
from libs.config.settings import Settings
from libs.crypto import keyfile
from libs.crypto.errors import KeyringError
from libs.crypto.keyfile import KmsFile
from libs.crypto.keyring import Keyring


def files(named: Mapping[str, str], settings: Settings) -> dict[str, Path]:
    """Name to key file: those of VALET_KEYRINGS, that of VALET_KEYRING, and those of the local stack that is used."""
    found = {f"keyring {name}": Path(path) for name, path in named.items()}
    if settings.keyring is not None:
        found["VALET_KEYRING"] = settings.keyring
    return found or {f"keyring {file.stem}": file for file in _local(settings)}


def check(name: str, file: Path) -> Finding:
    """Whether a service could start with this key file."""
    try:
        found = keyfile.read(file)
        if isinstance(found, KmsFile):
            return good(
                name, f"current master key {found.current}; its keys are opened by AWS KMS, which was not asked"
            )
        keyring = Keyring.of(found)
    except FileNotFoundError:
        return bad(
            name, "there is no such file", "restore it from its backup: what it sealed cannot be read without it"
        )
    except OSError as error:
        return bad(name, f"cannot be read ({type(error).__name__})", f"let its owner alone read it: chmod 600 {file}")
    except KeyringError as error:
        return bad(name, str(error), f"look at {file}")
    return good(name, f"current master key {keyring.current}")


def _local(settings: Settings) -> list[Path]:
    """The key files of the local stack, if it is the one that these settings are of."""
    if settings.ca_bundle is None:
        return []
    state = settings.ca_bundle.parent.parent
    return sorted((state / "keys").glob("*.json")) if (state / "env").is_file() else []

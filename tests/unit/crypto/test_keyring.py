"""The key file: what is wrong with it is said in one line that names no key."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from libs.crypto.errors import KeyringError, SealBroken
from libs.crypto.keyring import Keyring, Wrapped
from libs.testing.keys import INDEX, keyring

KEY = base64.b64encode(b"m" * 32).decode()
GOOD: dict[str, Any] = {"format": "valet-keyring-1", "current": "k1", "keys": {"k1": KEY}, "index": KEY}


def written(folder: Path, content: bytes | dict[str, Any], mode: int = 0o600) -> Path:
    path = folder / "keyring.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    path.chmod(mode)
    return path


def test_a_good_key_file_is_read(tmp_path: Path) -> None:
    keys = Keyring.load(written(tmp_path, GOOD))

    assert keys.current == "k1"
    assert keys.unwrap(keys.wrap(b"d" * 32, "ada"), "ada") == b"d" * 32


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "valet-keyring-1"),
        (b"{", "valet-keyring-1"),
        (b"\xff\xfe", "valet-keyring-1"),
        (b'{"format": "\xff"}', "valet-keyring-1"),
        (b"[]", "valet-keyring-1"),
        ({**GOOD, "format": "valet-keyring-9"}, "valet-keyring-1"),
        ({**GOOD, "keys": {}}, "valet-keyring-1"),
        ({**GOOD, "keys": {"k1": 7}}, "valet-keyring-1"),
        ({name: value for name, value in GOOD.items() if name != "index"}, "valet-keyring-1"),
        ({**GOOD, "keys": {"K 1": KEY}}, "valet-keyring-1"),
        ({**GOOD, "padding": "x" * 70_000}, "valet-keyring-1"),
        ({**GOOD, "keys": {"k1": "not base64!"}}, "not base64"),
        ({**GOOD, "keys": {"k1": "ключ"}}, "not base64"),
        ({**GOOD, "index": KEY[:-2]}, "not base64"),
        ({**GOOD, "current": "k2"}, "current"),
        ({**GOOD, "keys": {"k1": base64.b64encode(b"m" * 16).decode()}}, "32 bytes"),
        ({**GOOD, "index": base64.b64encode(b"m" * 33).decode()}, "32 bytes"),
    ],
)
def test_a_faulty_key_file_is_refused(tmp_path: Path, content: bytes | dict[str, Any], says: str) -> None:
    with pytest.raises(KeyringError, match=says) as refused:
        Keyring.load(written(tmp_path, content))

    text = str(refused.value)
    assert "\n" not in text
    assert "bW1t" not in text, "no key in it"
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_file_of_its_owner_alone_is_taken(tmp_path: Path, mode: int) -> None:
    assert Keyring.load(written(tmp_path, GOOD, mode)).current == "k1"


@pytest.mark.parametrize(
    ("newer", "says"),
    [
        (keyring("k1", "k2"), None),
        (keyring("k2"), None),
        (keyring("k1", index=b"x" * 32), "another index"),
        (Keyring("k1", {"k1": b"other".ljust(32)}, INDEX), "another master key under the name k1"),
    ],
)
def test_other_keys_under_the_same_names_are_not_the_same_keys_later(newer: Keyring, says: str | None) -> None:
    if says is None:
        keyring("k1").refuse_other(newer)
        return
    with pytest.raises(KeyringError, match=says):
        keyring("k1").refuse_other(newer)


def test_a_wrapped_key_is_bound_to_its_owner_and_its_master() -> None:
    keys = keyring("k1", "k2")
    wrapped = keys.wrap(b"d" * 32, "ada")

    for moved, owner in (
        (wrapped, "eve"),
        (Wrapped("k2", wrapped.blob), "ada"),
        (Wrapped("k1", wrapped.blob[:-1]), "ada"),
        (Wrapped("k1", b""), "ada"),
    ):
        with pytest.raises(SealBroken):
            keys.unwrap(moved, owner)
    with pytest.raises(KeyringError, match="the keyring lacks"):
        keys.unwrap(Wrapped("k9", wrapped.blob), "ada")


def test_secrets_for_different_purposes_differ_and_survive_rotation() -> None:
    assert keyring("k1").derive("a") == keyring("k2", "k1").derive("a")
    assert keyring("k1").derive("a") != keyring("k1").derive("b")
    assert keyring("k1").derive("a") != keyring("k1", index=b"x" * 32).derive("a")

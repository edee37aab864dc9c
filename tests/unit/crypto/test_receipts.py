"""Receipts: what was signed verifies as it stands, with the published key, and in no other form."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from libs.crypto.errors import SealBroken
from libs.crypto.receipts import ReceiptSigner, canonical, verify
from libs.testing.keys import keyring

SIGNER = ReceiptSigner(keyring())
JWKS = {"keys": [{"kty": "EC", "use": "enc"}, SIGNER.public_key()]}
DATA: dict[str, Any] = {"erasure": "er_a", "version": 1, "finished": True, "steps": [{"what": "x", "count": 0}]}


def signed(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "signature": SIGNER.sign(data)}


def test_what_was_signed_verifies_whatever_the_order_of_its_fields() -> None:
    receipt = signed(DATA)
    verify(receipt, JWKS)
    verify(dict(reversed(receipt.items())), JWKS)
    verify(json.loads(json.dumps(receipt, indent=2)), JWKS)


@pytest.mark.parametrize(
    "change",
    [
        {"finished": False},
        {"version": 2},
        {"steps": []},
        {"more": "x"},
        {"steps": [{"what": "x", "count": 1}]},
        {"signature": ""},
        {"signature": "a..b"},
        {"signature": None},
        {"count": 0.5},
    ],
    ids=str,
)
def test_an_altered_one_does_not(change: dict[str, Any]) -> None:
    with pytest.raises(SealBroken):
        verify({**signed(DATA), **change}, JWKS)


def test_one_without_a_field_does_not() -> None:
    receipt = signed(DATA)
    del receipt["version"]
    with pytest.raises(SealBroken):
        verify(receipt, JWKS)


def test_another_installations_key_does_not_fit() -> None:
    other = ReceiptSigner(keyring(index=b"o" * 32)).public_key()
    misnamed = {**other, "kid": SIGNER.public_key()["kid"]}
    sets: list[dict[str, Any]] = [{"keys": [other]}, {"keys": [misnamed]}, {"keys": []}, {}]
    for keys in sets:
        with pytest.raises(SealBroken):
            verify(signed(DATA), keys)


def test_a_key_for_something_else_is_not_taken() -> None:
    with pytest.raises(SealBroken):
        verify(signed(DATA), {"keys": [{**SIGNER.public_key(), "use": "enc"}]})


def test_no_other_algorithm_is_taken() -> None:
    receipt = signed(DATA)
    none = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
    with pytest.raises(SealBroken):
        verify({**receipt, "signature": f"{none}.."}, JWKS)


def test_the_key_is_the_same_on_every_replica_and_after_a_rotation() -> None:
    assert ReceiptSigner(keyring("k2", "k1")).public_key() == SIGNER.public_key()
    assert "d" not in SIGNER.public_key()


def test_anybody_can_verify_it_by_hand() -> None:
    """RFC 7515: Ed25519 over the protected header, a dot, and the payload, both in base64url."""
    receipt = signed(DATA)
    head, _, signature = receipt["signature"].partition("..")
    payload = _base64(canonical(DATA))
    public = Ed25519PublicKey.from_public_bytes(_raw(SIGNER.public_key()["x"]))
    public.verify(_raw(signature), f"{head}.{payload}".encode())


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _raw(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@given(st.dictionaries(st.text("abc_", min_size=1), st.text() | st.integers() | st.booleans(), max_size=5))
def test_whatever_it_says_it_verifies(data: dict[str, Any]) -> None:
    try:
        receipt = signed(data)
    except UnicodeEncodeError:
        return  # half a character, which no JSON text can hold
    verify(receipt, JWKS)


def test_the_canonical_form_is_that_of_rfc_8785() -> None:
    data = {"b": [1, True, None, '\u20ac$\u000f\nA\'B"\\\\"/'], "a": {"z": "é", "B": 1}}
    wanted = '{"a":{"B":1,"z":"é"},"b":[1,true,null,"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"]}'
    assert canonical(data).decode() == wanted


@pytest.mark.parametrize("data", [{"a": 0.5}, {"a": [{"b": 1e3}]}, {"é": 1}, {"a": b"x"}])
def test_what_has_no_canonical_form_here_is_not_signed(data: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        SIGNER.sign(data)

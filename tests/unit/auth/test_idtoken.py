"""An ID token is believed only if every claim is what this flow expects."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from services.auth import idtoken
from services.auth.oauth import Suspicious
from tests.unit.auth.doubles import START

EXPECTED = idtoken.Expected("valet", "n0nce", lambda claims: claims.iss == "https://issuer.example")
GOOD = {
    "iss": "https://issuer.example",
    "sub": "1",
    "aud": "valet",
    "exp": int((START + timedelta(hours=1)).timestamp()),
    "nonce": "n0nce",
}


def token(claims: Any, header: Any = None, signature: str = "c2ln") -> str:
    parts = ({"alg": "RS256"} if header is None else header, claims)
    return ".".join(
        [*(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts), signature]
    )


def test_a_good_one() -> None:
    assert idtoken.read(token(GOOD), EXPECTED, START).sub == "1"
    assert idtoken.read(token({**GOOD, "azp": "valet", "email": "ada@example.com"}), EXPECTED, START).sub == "1"


@pytest.mark.parametrize(
    ("change", "label"),
    [
        ({"aud": "other"}, "audience"),
        ({"aud": ["valet", "other"]}, "audience"),
        ({"azp": "other"}, "audience"),
        ({"iss": "https://issuer.example.com"}, "issuer"),
        ({"exp": int((START - timedelta(minutes=3)).timestamp())}, "expired"),
        ({"nonce": "other"}, "nonce"),
        ({"nonce": ""}, "nonce"),
        ({"sub": ""}, "subject"),
        ({"sub": 1}, "malformed"),
        ({"exp": "never"}, "malformed"),
    ],
)
def test_a_wrong_claim(change: dict[str, Any], label: str) -> None:
    with pytest.raises(Suspicious, match=f"^id-token-{label}$"):
        idtoken.read(token({**GOOD, **change}), EXPECTED, START)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "rs256", "", "RS512"])
def test_another_algorithm(algorithm: str) -> None:
    with pytest.raises(Suspicious, match="id-token-algorithm"):
        idtoken.read(token(GOOD, {"alg": algorithm}), EXPECTED, START)


@pytest.mark.parametrize(
    "text", ["", "a.b", "a.b.c.d", "é.é.é", "....", token(GOOD, signature=""), token([]), token("x")]
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(Suspicious, match="id-token-malformed"):
        idtoken.read(text, EXPECTED, START)


def test_what_is_refused_is_not_quoted() -> None:
    with pytest.raises(Suspicious) as caught:
        idtoken.read(token({**GOOD, "nonce": "canary", "sub": "canary"}), EXPECTED, START)
    assert "canary" not in repr(caught.value)
    assert caught.value.__cause__ is None

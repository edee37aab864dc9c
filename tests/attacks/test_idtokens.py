"""ID tokens that were made for somebody else, or by somebody else. A provider's answer is changed on its way through the door."""

import base64
import json
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from libs.providers.answers import Answer
from libs.providers.egress import Door
from tests.attacks.rows import tried
from tests.contract.providers.auth_pages import Auth

REFUSED = (400, 503)
"""Not to be trusted; or, where msal looks first, not to be read."""

Token = tuple[dict[str, Any], dict[str, Any], str]
"""Header, claims and signature."""


def claims(**changes: Any) -> Callable[[Token], Token]:
    return lambda token: (token[0], token[1] | changes, token[2])


def header(**changes: Any) -> Callable[[Token], Token]:
    return lambda token: (token[0] | changes, token[1], token[2])


FORGERIES: dict[str, Callable[[Token], Token]] = {
    "another audience": claims(aud="another-app"),
    "an audience of several": claims(aud=["another-app", "valet"]),
    "another authorized party": claims(azp="another-app"),
    "another issuer": claims(iss="https://login.example.com"),
    "another tenant": claims(tid="00000000-0000-0000-0000-00000000dead", iss="https://accounts.google.com.example.com"),
    "another nonce": claims(nonce="n" * 43),
    "no nonce": claims(nonce=""),
    "expired": claims(exp=1_600_000_000),
    "no subject": claims(sub="", oid=""),
    "algorithm none": header(alg="none"),
    "algorithm None": header(alg="None"),
    "algorithm HS256": header(alg="HS256"),
    "no signature": lambda token: (token[0], token[1], ""),
    "operators": claims(sub={"$ne": None}, oid={"$ne": None}),
    "not signed at all, no parts": lambda _: ({}, {}, ""),
}


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def read(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


def forged(answer: Answer, forge: Callable[[Token], Token]) -> Answer:
    """The provider's answer with its ID token changed."""
    body = json.loads(answer.body)
    if "id_token" not in body:
        return answer
    first, second, signature = body["id_token"].split(".")
    new_header, new_claims, new_signature = forge((read(first), read(second), signature))
    body["id_token"] = f"{part(new_header)}.{part(new_claims)}.{new_signature}"
    return Answer(answer.status, answer.headers, json.dumps(body).encode())


def connected_with(auth: Auth, provider: str, forge: Callable[[Token], Token]) -> tuple[int, int]:
    """The status of the last page, and how many tokens were changed."""
    changed: list[str] = []
    send = Door.send

    def between(self: Door, who: Any, operation: str, request: Any) -> Answer:
        answer = send(self, who, operation, request)
        if operation == "oauth.token":
            changed.append(operation)
            return forged(answer, forge)
        return answer

    with mock.patch.object(Door, "send", between):
        return auth.connect(provider).status_code, len(changed)


@tried("8", FORGERIES)
def test_a_forged_id_token(auth: Auth, provider: str, how: Any) -> None:
    status, changed = connected_with(auth, provider, how)
    assert changed == 1
    assert status in REFUSED
    assert auth.world.store.kept == {}
    assert auth.access()["state"] == "invited"


@tried("8", {"unchanged, to know that the experiment works": lambda token: token})
def test_a_good_id_token(auth: Auth, provider: str, how: Any) -> None:
    assert connected_with(auth, provider, how) == (200, 1)


@tried("8", {"another tenant of Microsoft's": claims(tid="00000000-0000-0000-0000-00000000dead")})
def test_a_tenant_that_does_not_fit_its_issuer(auth: Auth, how: Any) -> None:
    assert connected_with(auth, "microsoft", how)[0] in REFUSED
    assert auth.world.store.kept == {}


@pytest.mark.parametrize("swapped", ["google", "microsoft"])
@tried("8", ["the other provider's token"])
def test_a_token_of_the_other_provider(auth: Auth, swapped: str, how: str) -> None:
    seen: list[Token] = []

    def keep(token: Token) -> Token:
        seen.append(token)
        return token

    other = {"google": "microsoft", "microsoft": "google"}[swapped]
    assert connected_with(auth, other, keep)[0] == 200
    kept = dict(auth.world.store.kept)
    assert connected_with(auth, swapped, lambda _: seen[0])[0] in REFUSED
    assert auth.world.store.kept == kept

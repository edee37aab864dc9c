"""Links that an operator hands out: altered, replayed, expired, used for something else, guessed. Auth's pages over TLS."""

import hmac
import re
from typing import Any
from unittest import mock
from urllib.parse import quote

import pytest
import requests

from deploy.sandbox.browser import approve
from services.auth import handlers, links
from services.auth.domain import State
from tests.attacks.rows import tried
from tests.contract.providers.auth_pages import EMAIL, Auth


def last(text: str) -> str:
    """The token with another last character that counts (the very last one holds two bits of nothing)."""
    return text[:-2] + ("A" if text[-2] != "A" else "B") + text[-1]


ALTERED = {
    "another signature": last,
    "first character": lambda token: ("b" if token[0] == "a" else "a") + token[1:],
    "longer life": lambda token: re.sub(r"\.(\d+)\.", lambda found: f".{int(found[1]) + 86_400}.", token),
    "no signature": lambda token: token.rpartition(".")[0],
    "empty signature": lambda token: token.rpartition(".")[0] + ".",
    "another's id": lambda token: "a" * 26 + token[26:],
    "not ASCII": lambda token: token[:-3] + "é€\udcff".encode("utf-8", "replace").decode(),
    "twice": lambda token: f"{token}.{token}",
    "none": lambda _: "x",
}


@tried("15", ALTERED)
def test_an_altered_link(auth: Auth, how: Any) -> None:
    base, _, token = auth.link().rpartition("/")
    assert requests.get(f"{base}/{token}", verify=auth.ca, timeout=10).status_code == 200
    wrong = requests.get(f"{base}/{quote(how(token), safe='')}", verify=auth.ca, timeout=10)
    unknown = requests.get(f"{base}/{'z' * 20}", verify=auth.ca, timeout=10)
    assert wrong.status_code == 404
    # all that is wrong looks the same
    assert wrong.text == unknown.text


@tried("15", ["replayed"])
def test_a_link_works_once(auth: Auth, provider: str, how: str) -> None:
    link = auth.link(provider=provider)
    assert approve(link, EMAIL, auth.ca).status_code == 200
    for again in (
        requests.get(link, verify=auth.ca, timeout=10),
        requests.post(f"{link}/{provider}", verify=auth.ca, timeout=10),
    ):
        assert again.status_code == 410


@tried("15", {"expired": 1801})
def test_a_link_that_has_expired(auth: Auth, provider: str, how: float) -> None:
    link = auth.link(provider=provider)
    auth.world.clock.sleep(how)
    assert requests.get(link, verify=auth.ca, timeout=10).status_code == 410
    assert requests.post(f"{link}/{provider}", verify=auth.ca, timeout=10).status_code == 410
    assert auth.admin.requests(f"{provider}.authorize") == []


@tried("15", {"to connect": "/connect/", "to disconnect": "/disconnect/"})
def test_a_link_for_one_purpose_at_the_other(auth: Auth, how: str) -> None:
    auth.connect("google")
    link = auth.leave_link() if how == "/connect/" else auth.link()
    wrong = re.sub(r"/(dis)?connect/", how, link)
    assert requests.get(wrong, verify=auth.ca, timeout=10).status_code == 404
    assert requests.post(wrong, {"connection": "all"}, verify=auth.ca, timeout=10).status_code in (404, 405)
    assert [c.state for c in auth.world.store.kept.values()] == [State.CONNECTED]


@tried("15", ["in constant time"])
def test_a_links_signature_is_compared_in_constant_time_before_anything_is_read(how: str) -> None:
    # A difference of nanoseconds cannot be measured here; that nothing but the constant-time comparison decides can be seen.
    compared: list[tuple[Any, Any]] = []
    constant = hmac.compare_digest

    def compare(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return constant(one, other)

    key, claim = b"k" * 32, "a" * 26 + ".not-a-number"
    with mock.patch.object(hmac, "compare_digest", compare):
        for length in range(45):
            assert links.verified(key, "connect", f"{claim}.{'A' * length}") is None
    assert len(compared) == 45
    assert {len(expected) for expected, _ in compared} == {43}


@tried("15", ["guessed"])
def test_links_cannot_be_foreseen(auth: Auth, how: str) -> None:
    tokens = {str(handlers.connect_link("dr-example", None, auth.desk)["url"]).rpartition("/")[2] for _ in range(200)}
    ids = {token.partition(".")[0] for token in tokens}
    assert len(ids) == 200
    assert {len(id) for id in ids} == {26}  # 128 bits in base32
    assert len({token.rpartition(".")[2] for token in tokens}) == 200


@pytest.mark.parametrize("path", ["", "/google"])
@tried("15", ["another site's form"])
def test_a_form_sent_from_another_site(auth: Auth, path: str, how: str) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        sent = requests.post(auth.link() + path, headers=headers, verify=auth.ca, timeout=10, allow_redirects=False)
        assert sent.status_code in (404, 405)

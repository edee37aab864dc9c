"""Sealed requests, sealed dead letters and keyed digests."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey

from libs.crypto.digests import Digests
from libs.crypto.envelopes import ALGORITHMS, Envelopes, seal_for
from libs.crypto.errors import SealBroken
from libs.crypto.letters import LetterSeal
from libs.testing.keys import keyring

ENVELOPES = Envelopes(keyring())
SEALED = seal_for(ENVELOPES.public_keys(), b"answer")
HEADER, *REST = SEALED.split(".")
FIELDS: dict[str, Any] = json.loads(base64.urlsafe_b64decode(HEADER + "=="))


def with_header(header: object) -> str:
    text = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    return ".".join([text, *REST])


class TestEnvelopes:
    @given(st.binary(max_size=300))
    def test_what_was_sealed_for_us_opens(self, plain: bytes) -> None:
        assert ENVELOPES.open(seal_for(ENVELOPES.public_keys(), plain)) == plain

    def test_every_replica_has_the_same_key_also_after_a_rotation(self) -> None:
        assert Envelopes(keyring("k2", "k1")).public_keys() == ENVELOPES.public_keys()
        assert Envelopes(keyring("k2", "k1")).open(SEALED) == b"answer"

    def test_only_the_public_half_is_published(self) -> None:
        (key,) = ENVELOPES.public_keys()["keys"]

        assert set(key) == {"kty", "crv", "x", "y", "use", "alg", "kid"}

    def test_sealed_for_another_key_it_does_not_open(self) -> None:
        with pytest.raises(SealBroken):
            Envelopes(keyring(index=b"x" * 32)).open(SEALED)

    @pytest.mark.parametrize("part", range(5))
    def test_changed_anywhere_it_does_not_open(self, part: int) -> None:
        parts = SEALED.split(".")
        parts[part] = ("B" if parts[part][:1] == "A" else "A") + parts[part][1:]

        with pytest.raises(SealBroken):
            ENVELOPES.open(".".join(parts))

    @pytest.mark.parametrize(
        "header",
        [
            {**FIELDS, "alg": "dir"}, {**FIELDS, "alg": "none"}, {**FIELDS, "alg": 5}, {**FIELDS, "enc": "A128GCM"},
            {**FIELDS, "enc": []}, {**FIELDS, "zip": "DEF"}, {**FIELDS, "crit": ["exp"]}, {**FIELDS, "crit": 5},
            {**FIELDS, "apu": 5}, {**FIELDS, "epk": None}, {**FIELDS, "epk": 5}, {**FIELDS, "epk": {}},
            {**FIELDS, "epk": {**FIELDS["epk"], "crv": "P-384"}}, {**FIELDS, "epk": {**FIELDS["epk"], "crv": "nope"}},
            {**FIELDS, "epk": {**FIELDS["epk"], "x": 5}}, {**FIELDS, "epk": {**FIELDS["epk"], "y": FIELDS["epk"]["x"]}},
            {**FIELDS, "epk": {"kty": "oct", "k": "AAAA"}}, {}, [], 5, None, "x",
        ],
    )  # fmt: skip
    def test_a_strange_header_does_not_open(self, header: object) -> None:
        with pytest.raises(SealBroken):
            ENVELOPES.open(with_header(header))

    @given(st.text(max_size=200) | st.text(alphabet="eyJ.AB\x00=-_", max_size=200))
    def test_no_text_at_all_does_more_than_not_open(self, text: str) -> None:
        with pytest.raises(SealBroken):
            ENVELOPES.open(text)

    def test_a_compressed_one_is_not_inflated(self) -> None:
        key = ECKey.import_key(ENVELOPES.public_keys()["keys"][0])
        header = {"alg": "ECDH-ES", "enc": "A256GCM", "zip": "DEF"}
        bomb = jwe.encrypt_compact(header, b"a" * 1_000_000, key, algorithms=[*ALGORITHMS, "DEF"])

        with pytest.raises(SealBroken):
            ENVELOPES.open(bomb)

    def test_sealed_with_a_shared_key_it_does_not_open(self) -> None:
        shared = OctKey.import_key(b"k" * 32)
        token = jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, b"x", shared, algorithms=["dir", "A256GCM"])

        with pytest.raises(SealBroken):
            ENVELOPES.open(token)


class TestLetters:
    def test_a_letter_opens_for_its_own_service_alone(self) -> None:
        sealed = LetterSeal(keyring()).seal(b"message")

        assert LetterSeal(keyring("k2", "k1")).open(sealed) == b"message"
        assert b"message" not in sealed
        with pytest.raises(SealBroken):
            LetterSeal(keyring(index=b"x" * 32)).open(sealed)

    @pytest.mark.parametrize("length", [0, 5, 12, 20])
    def test_a_cut_letter_does_not_open(self, length: int) -> None:
        with pytest.raises(SealBroken):
            LetterSeal(keyring()).open(LetterSeal(keyring()).seal(b"message")[:length])


class TestDigests:
    @pytest.mark.parametrize(
        "same", ["ada@example.com", "ADA@EXAMPLE.COM", " ada@example.com ", "\uff41da@example.com", "Ada@Example.com"]
    )
    def test_one_person_whatever_the_form_of_the_address(self, same: str) -> None:
        digests = Digests(keyring())

        assert digests.person(same) == digests.person("ada@example.com")
        assert "ada" not in digests.person(same)[:3]

    def test_another_person_another_service_another_digest(self) -> None:
        ada = Digests(keyring()).person("ada@example.com")

        assert ada != Digests(keyring()).person("eve@example.com")
        assert ada != Digests(keyring(index=b"x" * 32)).person("ada@example.com")

    def test_a_booking_has_one_id_for_ever(self) -> None:
        one, rotated = Digests(keyring()), Digests(keyring("k2", "k1"))

        assert one.booking("urn:a", "1") == rotated.booking("urn:a", "1")
        ids = [
            one.booking(*parts)
            for parts in (("a", "b"), ("ab", ""), ("", "ab"), ("b", "a"), ("a", "b", ""), ("a", "b", "c"))
        ]
        assert len(set(ids)) == len(ids)
        assert all(len(id) == 29 and id.startswith("bk_") for id in ids)

"""Ids come out the same on every try and differ where anything differs."""

import re
import uuid
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.providers.ids import google_event_id, mark, transaction_id

SECRET = b"s" * 32
MAKERS = (google_event_id, transaction_id, mark)


def test_ids_are_stable_for_ever() -> None:
    # Given values that were stored by an earlier release, then they must never come out differently.
    assert google_event_id(SECRET, "bk_a", "primary", 1) == "vq87hc6ktnkt566sm4noqbr04igia3csgtc1ul85dhamkie61e90"
    assert transaction_id(SECRET, "bk_a", "primary", 1) == "0aa76b25-8ab9-8628-ab29-188e5c82a469"
    assert mark(SECRET, "bk_a", "primary", 1) == "sg6gsv1asrpu42do4fcmgrj510au7oi6ncg4trl7gjh5klf4n8bg"


@given(st.text(max_size=40), st.text(max_size=40), st.integers(min_value=0, max_value=10**6))
def test_ids_have_the_shape_the_providers_ask_for(booking: str, calendar: str, generation: int) -> None:
    assert re.fullmatch(r"[a-v0-9]{52}", google_event_id(SECRET, booking, calendar, generation))
    assert uuid.UUID(transaction_id(SECRET, booking, calendar, generation)).version == 8
    assert re.fullmatch(r"[a-v0-9]{52}", mark(SECRET, booking, calendar, generation))


@pytest.mark.parametrize("maker", MAKERS)
def test_every_part_counts(maker: object) -> None:
    assert callable(maker)
    parts = product((SECRET, b"t" * 32), ("bk_a", "bk_ap"), ("primary", "rimary"), (1, 2))
    made = [maker(*some) for some in parts]
    assert len(set(made)) == len(made)


def test_the_three_kinds_never_agree() -> None:
    assert google_event_id(SECRET, "bk_a", "c", 1) != mark(SECRET, "bk_a", "c", 1)


@pytest.mark.parametrize("maker", MAKERS)
def test_a_short_secret_is_refused(maker: object) -> None:
    assert callable(maker)
    with pytest.raises(ValueError, match="16 bytes"):
        maker(b"short", "bk_a", "c", 1)

"""The attacks by number, and how a test says which of them it tries."""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import pytest

ROWS: Final[dict[str, str]] = {
    "1": "callback without `state`, with a foreign, used or expired one",
    "2": "a victim's `state` in the attacker's browser",
    "3": "a Google code sent to the Microsoft callback; a wrong `iss`",
    "4": "an injected code",
    "5": "addresses to return to",
    "6": "fewer scopes granted than asked",
    "7": "linking an account that another host owns",
    "8": "ID token with wrong audience, tenant, nonce or algorithm",
    "9": "OAuth2's checks switched off in the environment",
    "10": "canary secrets and names at DEBUG level with forced exceptions",
    "11": "canary names, addresses and answers in the servers' files (sealed requests)",
    "12": "operators, `$where` and dotted keys in events and questions",
    "13": "ciphertext swapped, rolled back, key id swapped",
    "14": "HTML, script, CRLF, control and bidirectional characters in texts",
    "15": "connect links: replayed, altered, expired",
    "16": "/metrics after 10,000 users",
    "17": "50 MB body, deep JSON, compressed body, pickle",
    "18": "saying, hearing and touching on the broker what is not one's own",
    "19": "wrong authority, wrong host name, plain text",
    "20": "default `guest`, MongoDB without a login, keys readable by others",
    "21": "another host's booking id in a request",
    "22": "a provider call outside the allow-list",
    "23": "a person erased, then the store and an old backup searched",
    "24": "pods with more than they need",
    "+1": "facts slipped past the broker's checks by a detour",
    "+2": "requests that name somebody else as their source",
    "+3": "host header tricks and request smuggling on the pages",
    "+4": "JWE with other algorithms, compression or curves",
    "+5": "line breaks and forged lines in ids, for the logs",
    "+6": "slow and idle clients on the pages",
    "+7": "a flood of questions",
}

LONG: Final = os.environ.get("VALET_ATTACKS") == "long"
"""Whether the long form runs: `make attacks`."""

SEED: Final = int(os.environ.get("VALET_ATTACK_SEED", "1"))
ONLY: Final = frozenset(filter(None, os.environ.get("VALET_ATTACK_ROWS", "").split(",")))

EXAMPLES: Final = 400 if LONG else 40
"""How many examples a property is tried with."""

_ROW: Final = re.compile(r"row (\+?\d+)(?:: (.*))?[-\]]")


def tried(row: str, variants: Iterable[str] | Mapping[str, Any]) -> pytest.MarkDecorator:
    """Name a test for its row: it runs once for each variant, and is given as `how` the variant's value, or else its name."""
    if row not in ROWS:
        raise ValueError(f"there is no row {row}")
    given = variants if isinstance(variants, Mapping) else {name: name for name in variants}
    return pytest.mark.parametrize(
        "how", [pytest.param(value, id=f"row {row}: {name}") for name, value in given.items()]
    )


def row_of(node: str) -> str | None:
    """The row that a test's id names."""
    found = _ROW.search(node)
    return found[1] if found else None


long_form = pytest.mark.skipif(not LONG, reason="long form: make attacks")

"""The published contract as its tests read it: schemas, examples, and what the two judges say of a document."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec

from libs.contracts import codec
from libs.contracts.events import TYPES

CONTRACTS = Path(codec.__file__).parent
EXAMPLES = CONTRACTS / "examples"
GOLDEN = sorted(EXAMPLES.glob("*.json"))
BAD = sorted((EXAMPLES / "bad").glob("*.json"))

Json = dict[str, Any]


def load(path: Path) -> Json:
    document: Json = json.loads(path.read_text(encoding="utf-8"))
    return document


def schema(name: str) -> Json:
    return load(CONTRACTS / "schemas" / f"{name}.json")


VALIDATORS = {
    name: jsonschema_rs.Draft202012Validator(schema(name), validate_formats=True) for name in (*TYPES, "envelope")
}


def schema_accepts(document: Json) -> bool:
    """Whether a whole CloudEvent is as the published schemas say: its envelope, and its data by its type."""
    if not VALIDATORS["envelope"].is_valid(document):
        return False
    return document["type"] in TYPES and VALIDATORS[document["type"]].is_valid(document["data"])


def decoder_accepts(document: Json) -> bool:
    """Whether the typed code reads a whole CloudEvent."""
    try:
        envelope = codec.read(msgspec.json.encode(document), codec.STRUCTURED, {})
        if envelope.type not in TYPES:
            return False
        codec.data_of(envelope, TYPES[envelope.type])
    except codec.Unreadable:
        return False
    return True

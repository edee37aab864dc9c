"""The published contract: one JSON Schema (draft 2020-12) per event type, one for the envelope around it, and two per
question that other services may put, for its arguments and for its answer.

    python -m libs.contracts.publish            write libs/contracts/schemas/
    python -m libs.contracts.publish --check    exit 1 and name the files that differ from the typed code

The schemas come from the structs, made right for readers in any language: patterns as ECMA 262 knows them, times with
a pattern of their own (validators may ignore `format`), and a field that may be absent may not be null.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from libs.contracts.codec import Envelope
from libs.contracts.events import REQUESTS, TYPES
from libs.contracts.questions import PUBLIC
from libs.contracts.reasons import Reason

SCHEMAS = Path(__file__).with_name("schemas")
DIALECT = "https://json-schema.org/draft/2020-12/schema"
INSTANT = r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"

Json = dict[str, Any]

EXACTLY_ONE = {"booking-requested": ("invitee", "sealed"), "erasure-requested": ("email", "sealed")}
"""Fields of which a request gives exactly one: the struct has room for both, so this is said here."""

WORDS = {
    "address": "An e-mail address.",
    "answer": "The invitee's answer to one question; the question is the key.",
    "as_of": "When the calendar was read. RFC 3339.",
    "asked": "What was asked for and refused.",
    "attempt": "How often Valet has tried to write this entry, counted from 1.",
    "booking": "A booking, as Valet calls it.",
    "buffer_after_minutes": "Minutes kept free after each booking.",
    "buffer_before_minutes": "Minutes kept free before each booking.",
    "calendars": "What the answer rests on: every calendar of the host that is checked.",
    "change": "Which cancellation or reschedule this answers: the `source` and `id` of that CloudEvent.",
    "complete": "Whether the calendar was read wholly. If not, `why` says what is wrong, and no time counts as free.",
    "connection": "A host's connection to one calendar, as Valet calls it.",
    "count": "How many were found.",
    "daily_limit": "How many bookings may start on one day in the host's time zone.",
    "data": "What happened. The schema of the event's type says what belongs here.",
    "datacontenttype": "application/json, if given.",
    "duration_minutes": "How long a slot shall be. A multiple of the grid (5 minutes, unless the operator set another).",
    "email": "An e-mail address. Valet judges it and answers `invalid-email` to one that cannot be.",
    "end": "The first instant that no longer belongs to it. RFC 3339; the offset is mandatory.",
    "erased_at": "What was asked for before this instant is erased. RFC 3339; the offset is mandatory.",
    "erasure": "An erasure, as Valet calls it.",
    "fields": "What the invitee answered: question to answer.",
    "finished": "Whether nothing is tried again any more. If not, a receipt with a higher version follows.",
    "found": "What the calendar says instead.",
    "host": "A host, as the services around Valet call them. Never an address.",
    "hosts": "Hosts, as the services around Valet call them.",
    "id": "Together with `source` the identity of an event. Visible ASCII, no `@`.",
    "invitee": "Who books. Give this or `sealed`, never both.",
    "mode": "`all`: when every host is free. `any`: when at least one is.",
    "moves": "The time that the booking has until the move is decided.",
    "moving": "A booking that shall move: the time it takes itself counts as free.",
    "name": "How the invitee is called.",
    "outcome": "What became of it.",
    "person": "The person, as a keyed digest that only Valet can compute.",
    "provider": "Who keeps the calendar.",
    "reason": "A label of the emitter's own, kept with the history. Kebab-case, no free text.",
    "request": "Which request this answers: the `source` and `id` of that CloudEvent.",
    "signature": "A detached JWS over the other fields; the public key is the one for signatures in the published key set.",
    "slots": "Free intervals of the length asked for, in order. Two may overlap.",
    "source": "Who says it: a URI reference that belongs to one service alone. Visible ASCII, no `@`.",
    "specversion": "The version of CloudEvents.",
    "start": "The first instant that belongs to it. RFC 3339; the offset is mandatory.",
    "steps": "What was destroyed, and what lies beyond reach.",
    "subject": "What the event is about. Valet's own events name the booking here.",
    "time": "When it happened. RFC 3339; the offset is mandatory.",
    "time_zone": "The invitee's IANA time zone, such as America/New_York.",
    "title": "What the entry in the host's calendar is called.",
    "traceparent": "W3C Trace Context; Valet carries it on to every event that follows.",
    "type": "The event's type, which is also its routing key.",
    "version": "Grows by one with each change of the booking: of two events the higher one is the later one.",
    "what": "What was looked for.",
    "why": "A label that says what is wrong; null or absent where nothing is.",
}
"""What a field means. One name means one thing in all events; `description` in the struct's own type comes first."""

KNOWN_REASONS = {
    "description": (
        "Why. A label in kebab-case. `examples` lists those that exist today; accept others, for new ones will come."
    ),
    "type": "string",
    "pattern": "^[a-z][a-z0-9-]{0,63}$",
    "examples": [reason.value for reason in Reason],
}
# `examples` and not `enum`: a consumer's validator or generated type would refuse the first reason that is added.

ASKED = "Fields that are not listed are refused, so that a misspelt one is noticed."
TOLD = "Accept fields and reasons that you do not know yet: more will come."


def schema_of(event_type: str) -> Json:
    """The JSON Schema of the `data` of an event type. Raises KeyError for a type that does not exist."""
    (_, definitions) = msgspec.json.schema_components([TYPES[event_type]], ref_template="#/$defs/{name}")
    root = cast(Json, _clear(definitions.pop(TYPES[event_type].__name__)))
    definitions.pop("Reason", None)
    if event_type in EXACTLY_ONE:
        root["oneOf"] = [{"required": [field]} for field in EXACTLY_ONE[event_type]]
    advice = ASKED if event_type in REQUESTS else TOLD
    return _head(f"urn:valet:schema:{event_type}:1", event_type, f"{root.pop('description')} {advice}") | {
        **{key: value for key, value in root.items() if key != "title"},
        **({"$defs": {name: _clear(schema) for name, schema in definitions.items()}} if definitions else {}),
    }


def envelope_schema() -> Json:
    """The JSON Schema of a CloudEvent in structured mode as Valet reads it.

    Optional attributes may be null, which means absent (CloudEvents JSON format 1.0.2, section 2.2).
    """
    fields = [(f.name, f.type) if f.required else (f.name, f.type, None) for f in msgspec.structs.fields(Envelope)]
    twin = msgspec.defstruct(
        "Envelope", [f for f in fields if f[0] != "data"] + [("data", dict[str, Any])], kw_only=True
    )
    (_, definitions) = msgspec.json.schema_components([twin], ref_template="#/$defs/{name}")
    root = cast(Json, _clear(definitions["Envelope"], nullable=True))
    words = f"A CloudEvent 1.0 in structured mode (application/cloudevents+json). {root.pop('description', '')}".strip()
    return _head("urn:valet:schema:envelope:1", "envelope", words + " Further attributes are ignored.") | {
        key: value for key, value in root.items() if key != "title"
    }


def question_schemas(question: str) -> dict[str, Json]:
    """The JSON Schemas of a question's `kwargs` and of its answer's `result`, by the names of their files."""
    asked, answered = PUBLIC[question]
    return {
        f"questions/{question}.asked.json": _struct_schema(asked, f"{question}.asked", ASKED, nullable=False),
        f"questions/{question}.answered.json": _struct_schema(answered, f"{question}.answered", TOLD, nullable=True),
    }


def files() -> dict[str, str]:
    """Every published schema: name of the file to its text."""
    schemas = {f"{event_type}.json": schema_of(event_type) for event_type in TYPES}
    schemas["envelope.json"] = envelope_schema()
    for question in PUBLIC:
        schemas |= question_schemas(question)
    return {name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in schemas.items()}


def differing(folder: Path = SCHEMAS) -> list[str]:
    """The names of files in `folder` that are missing, differ from the typed code, or belong to no event type."""
    wanted = files()
    found = {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in folder.rglob("*.json")}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def write(folder: Path = SCHEMAS) -> list[str]:
    """Make `folder` hold the published schemas and no others. Returns the names of the files that changed."""
    changed = differing(folder)
    (folder / "questions").mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (folder / name).write_text(text, encoding="utf-8")
    for name in set(changed) - files().keys():
        (folder / name).unlink()
    return changed


def main(arguments: Sequence[str] | None = None, folder: Path = SCHEMAS) -> int:
    """The command. Exit code 1 with `--check` if the published schemas are not those of the typed code."""
    parser = argparse.ArgumentParser(prog="python -m libs.contracts.publish", description="Write the JSON Schemas.")
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 if a file differs")
    check = parser.parse_args(arguments).check
    names = differing(folder) if check else write(folder)
    for name in names:
        sys.stdout.write(f"{name}: {'differs: run python -m libs.contracts.publish' if check else 'written'}\n")
    return 1 if check and names else 0


def _struct_schema(struct: type[msgspec.Struct], title: str, advice: str, *, nullable: bool) -> Json:
    (_, definitions) = msgspec.json.schema_components([struct], ref_template="#/$defs/{name}")
    definitions.pop("Reason", None)
    root = cast(Json, _clear(definitions.pop(struct.__name__), nullable))
    inner = {name: _clear(schema, nullable) for name, schema in definitions.items()}
    words = " ".join(f"{root.pop('description')} {advice}".split())
    return _head(f"urn:valet:schema:{title}:1", title, words) | {
        **{key: value for key, value in root.items() if key != "title"},
        **({"$defs": inner} if inner else {}),
    }


def _head(identity: str, title: str, description: str) -> Json:
    return {"$schema": DIALECT, "$id": identity, "title": title, "description": description}


def _clear(schema: Any, nullable: bool = False) -> Any:
    """The schema as other languages should see it, all the way down."""
    if isinstance(schema, list):
        return [_clear(item, nullable) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if not nullable and {"type": "null"} in schema.get("anyOf", ()):
        schema = schema["anyOf"][0]
    if schema.get("$ref") == "#/$defs/Reason":
        return dict(KNOWN_REASONS)
    clear = {key: _clear(value, nullable) for key, value in schema.items() if key not in ("default", "properties")}
    if "properties" in schema:
        clear["properties"] = {name: _described(name, _clear(s, nullable)) for name, s in schema["properties"].items()}
    return _plain_string(clear)


def _plain_string(schema: Json) -> Json:
    if "pattern" in schema:
        schema["pattern"] = schema["pattern"].removesuffix(r"\Z") + "$" * schema["pattern"].endswith(r"\Z")
    if schema.get("format") == "date-time":
        schema["pattern"] = INSTANT
    if "enum" in schema:
        schema["type"] = "string"
    return schema


def _described(name: str, schema: Json) -> Json:
    if "description" in schema:
        return schema
    return {"description": WORDS[name], **schema}


if __name__ == "__main__":
    sys.exit(main())

"""The README is true: its programs, examples, tables and links are those of the project."""

import ast
import inspect
import json
import re
import warnings
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from joserfc import jwe
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, KeySet, OKPKey

from deploy.cli.erasure.progress import WHAT
from libs.contracts.events import REQUESTS, TYPES
from libs.contracts.questions import PUBLIC, CalendarEvidence, HostEvidence, Slot, Slots, TeamSlot, TeamSlots
from libs.contracts.reasons import Reason
from libs.crypto.envelopes import Envelopes
from libs.crypto.receipts import ReceiptSigner
from libs.testing.keys import keyring
from services.availability.service import AvailabilityService
from tests.contract.events.published import CONTRACTS, EXAMPLES, VALIDATORS, load

README = (CONTRACTS / "README.md").read_text(encoding="utf-8")
BOOKING = ("book.py", "book_pika.py")
PROGRAMS = (*BOOKING, "slots.py")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def _rows(heading: str) -> list[list[str]]:
    """The cells of all tables under a heading of the second level, without their head rows."""
    section = re.split(r"^## ", README, flags=re.MULTILINE)
    (text,) = [part for part in section if part.startswith(heading + "\n")]
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return [[cells[0].strip("`"), *cells[1:]] for cells in lines]


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_programs_are_quoted_word_by_word(program: str) -> None:
    assert (EXAMPLES / program).read_text(encoding="utf-8") in _blocks("python")


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_programs_import_nothing_of_ours(program: str) -> None:
    tree = ast.parse((EXAMPLES / program).read_text(encoding="utf-8"))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules & {"kombu", "pika"}
    assert not {module.partition(".")[0] for module in modules} & {"libs", "services", "deploy", "tests"}


@pytest.mark.parametrize("program", BOOKING)
def test_the_programs_ask_with_a_valid_request(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given the part of the program that makes the request, before it connects
    source = (EXAMPLES / program).read_text(encoding="utf-8")
    tree = ast.parse(source)
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    (last,) = [node.lineno for node in assigned if ast.unparse(node).startswith("body =")]
    wanted = [node for node in assigned if node.lineno <= last]
    monkeypatch.setenv("AMQP_URL", "amqps://broker.example:5671/valet")
    monkeypatch.setattr("sys.argv", [program, "dr-example", "2026-12-01T10:00:00-05:00", "2026-12-01T10:30:00-05:00"])
    # When it runs
    space: dict[str, Any] = {}
    exec("import json, os, sys, uuid\n" + "\n".join(map(ast.unparse, wanted)), space)
    # Then the request is as the schemas say
    document = json.loads(space["body"])
    VALIDATORS["envelope"].validate(document)
    VALIDATORS["booking-requested"].validate(document["data"])


def test_the_questions_are_listed_with_their_arguments() -> None:
    rows = {name: cells for name, *cells in _rows("Questions") if name in PUBLIC}
    assert list(rows) == list(PUBLIC)
    for name, (asked, _) in PUBLIC.items():
        assert set(asked.__struct_fields__) <= set(re.findall(r"[a-z_]+", rows[name][-1])), name


def test_a_golden_question_and_its_answer_are_as_their_schemas_say() -> None:
    at = datetime(2026, 12, 1, 15, tzinfo=UTC)
    read = CalendarEvidence(provider="google", complete=True, as_of=at)
    answers = {
        "availability.slots": Slots(host="dr-example", slots=[Slot(at, at)], calendars=[read]),
        "availability.team_slots": TeamSlots(
            mode="all", slots=[TeamSlot(at, at, ["dr-example"])], hosts={"dr-example": HostEvidence(calendars=[read])}
        ),
    }
    span = {"start": "2026-12-01T10:00:00-05:00", "end": "2026-12-01T12:00:00-05:00", "duration_minutes": 30}
    asked = {
        "availability.slots": {"host": "dr-example", **span},
        "availability.team_slots": {"hosts": ["dr-example"], "mode": "all", **span},
    }
    for name in PUBLIC:
        question, answer = (_question_schema(name, side) for side in ("asked", "answered"))
        question.validate(asked[name])
        assert not question.is_valid({**asked[name], "hots": "dr-example"})
        assert not question.is_valid({**asked[name], "start": "2026-12-01"})
        answer.validate(json.loads(msgspec.json.encode(answers[name])))
        assert not answer.is_valid({})


@pytest.mark.parametrize("name", PUBLIC)
def test_the_service_takes_what_the_contract_says(name: str) -> None:
    method = getattr(AvailabilityService, name.partition(".")[2])
    assert list(inspect.signature(method).parameters)[1:] == list(PUBLIC[name][0].__struct_fields__)


def _question_schema(name: str, side: str) -> jsonschema_rs.Draft202012Validator:
    document = load(CONTRACTS / "schemas" / "questions" / f"{name}.{side}.json")
    return jsonschema_rs.Draft202012Validator(document, validate_formats=True)


def test_the_events_shown_are_the_golden_ones() -> None:
    shown = [json.loads(block) for block in _blocks("json")]
    assert shown == [load(EXAMPLES / "booking-requested.json"), load(EXAMPLES / "booking-confirmed.json")]


def test_the_sealing_shown_opens_with_the_private_key() -> None:
    # Given a key as Valet publishes it
    key = ECKey.generate_key("P-256", parameters={"use": "enc"}, auto_kid=True)
    jwks = KeySet([key]).as_dict(private=False)
    assert "d" not in jwks["keys"][0]
    # When the README's own function seals with it
    (code,) = [block for block in _blocks("python") if "def seal" in block]
    space: dict[str, Any] = {}
    exec(code, space)
    content = {"invitee": load(EXAMPLES / "booking-requested.json")["data"]["invitee"], "title": "First visit"}
    sealed = space["seal"](content, jwks)
    # Then it is valid as `sealed`, and opens to the same
    request = load(EXAMPLES / "booking-requested.json")["data"]
    del request["invitee"], request["title"]
    VALIDATORS["booking-requested"].validate({**request, "sealed": sealed})
    opened = jwe.decrypt_compact(sealed, key)
    assert opened.headers() == {"alg": "ECDH-ES", "enc": "A256GCM", "kid": key.kid, "epk": opened.headers()["epk"]}
    assert json.loads(opened.plaintext or b"") == content


def test_the_verification_shown_accepts_what_valet_signs_and_nothing_else() -> None:
    # Given a receipt as Valet signs it, and the key set as Valet publishes it
    (code,) = [block for block in _blocks("python") if "def verify" in block]
    space: dict[str, Any] = {}
    exec(code, space)
    signer = ReceiptSigner(keyring())
    jwks = {"keys": [*Envelopes(keyring()).public_keys()["keys"][:1], signer.public_key()]}
    receipt = load(EXAMPLES / "personal-data-erased.json")["data"]
    receipt["signature"] = signer.sign(receipt)
    # When the README's own function looks at it, then it passes
    with warnings.catch_warnings(action="ignore", category=SecurityWarning):
        space["verify"](receipt, jwks)
        # and with anything changed, or under another key, it does not
        for changed in ({"finished": True}, {"steps": receipt["steps"][1:]}, {"person": "b" * 52}, {"more": 1}):
            with pytest.raises((JoseError, ValueError)):
                space["verify"](receipt | changed, jwks)
        other = OKPKey.generate_key("Ed25519", parameters={"use": "sig", "kid": jwks["keys"][1]["kid"]})
        with pytest.raises((JoseError, ValueError)):
            space["verify"](receipt, KeySet([other]).as_dict(private=False))


def test_every_line_of_a_receipt_is_explained() -> None:
    rows = [name for row in _rows("Erase a person") for name in re.findall(r"[a-z-]+", row[0])]
    assert {step["what"] for step in load(EXAMPLES / "personal-data-erased.json")["data"]["steps"]} <= set(rows)
    assert set(WHAT) <= set(rows)


def test_all_events_are_listed_with_what_they_carry() -> None:
    rows = _rows("All events")
    assert [row[0] for row in rows] == list(TYPES)
    for name, *cells in rows:
        assert len(cells) == (2 if name in REQUESTS else 3)
        said = set(re.findall(r"[a-z_]+", cells[-1]))
        optional_reason = {"reason"} if name not in REQUESTS else set()
        assert set(TYPES[name].__struct_fields__) - optional_reason <= said, name


def test_all_reasons_are_listed_in_their_order_with_a_meaning() -> None:
    rows = _rows("Reasons")
    assert [row[0] for row in rows] == [reason.value for reason in Reason]
    assert all(len(meaning) > 10 for _, meaning in rows)


def test_links_to_files_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("https://")]
    assert len(links) > 5
    assert [link for link in links if not (CONTRACTS / link).exists()] == []

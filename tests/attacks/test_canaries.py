"""Canaries sent in, and where they must not come out: logs at DEBUG with forced failures, and the servers' own files.

The direct form; tests/privacy pushes them through every path and looks everywhere.
"""

import base64
import secrets
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import generate_latest

from deploy.sandbox.faults import Kind
from deploy.sandbox.registrations import GOOGLE_CLIENT_SECRET, MICROSOFT_CLIENT_SECRET
from libs.crypto.envelopes import seal_for
from libs.testing.events import CANARIES, incoming, requested
from libs.testing.leaks import captured_logs, leaks, whole_text
from services.booking import handlers
from tests.attacks.rows import tried
from tests.attacks.scene import heard_within
from tests.contract.providers.auth_pages import EMAIL, TOKEN_OPERATIONS, Auth
from tests.e2e.world import World, tomorrow

KINDS: tuple[Kind, ...] = ("garbage", "truncated", "status")
FAILURES: dict[str, type[Exception]] = {
    "ValueError": ValueError,
    "KeyError": KeyError,
    "OSError": OSError,
    "msgspec": msgspec.ValidationError,
}


@tried("10", FAILURES)
def test_a_handler_that_fails_with_a_text_that_quotes(how: type[Exception]) -> None:
    # given a handler whose exceptions quote what they choked on, as those of libraries do
    def fails(batch: Any) -> Any:
        data = batch[0].data
        try:
            raise RuntimeError(f"cause: {data.invitee.email}")
        except RuntimeError as cause:
            raise how(f"{data.invitee.name} <{data.invitee.email}> {data.title}") from cause

    with captured_logs() as captured:
        captured.worked(fails, [incoming(requested()), incoming(requested(), attempt=10_000)])
    # then what is logged at DEBUG, put off, given up and measured says nothing of them
    assert "handler failed" in captured.text
    assert captured.sent
    for text in (captured.text, whole_text(captured.sent), generate_latest().decode()):
        assert leaks(text, CANARIES) == []
    assert handlers.hold_bookings.__name__ not in captured.text


@tried("10", ["connecting, refreshing, failing"])
def test_no_secret_of_a_host_is_logged(
    auth: Auth, provider: str, how: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level("DEBUG"):
        auth.connect(provider)
        for kind in KINDS:
            auth.world.clock.sleep(3700)
            auth.admin.add_fault(TOKEN_OPERATIONS[provider], kind, count=1, status=500)
            auth.access()
        token = auth.access()["calendars"][0]["token"]
        auth.admin.revoke_grant(provider, EMAIL)  # type: ignore[arg-type]  # a literal
        auth.world.clock.sleep(3700)
        auth.access()
    # the pages' own server here is the test's, and writes what Valet's does not
    written = "".join(r.getMessage() for r in caplog.records if r.name.split(".")[0] not in ("werkzeug", "uvicorn"))
    written += "".join(line for line in capfd.readouterr().err.splitlines() if "HTTP/1" not in line)
    secrets_ = (
        token,
        GOOGLE_CLIENT_SECRET,
        MICROSOFT_CLIENT_SECRET,
        "code_verifier",
        "sandbox.rt.",
        "sandbox.at.",
        EMAIL,
    )
    assert leaks(written, secrets_) == []
    assert leaks(generate_latest().decode(), secrets_) == []


def found(world: World, words: list[str], folder: str) -> dict[str, list[str]]:
    """In which files below a folder of the stack each word stands, as UTF-8, UTF-16 or in base64."""
    forms = {word: {word.encode(), word.encode("utf-16-le"), base64.b64encode(word.encode())[:-4]} for word in words}
    hits: dict[str, list[str]] = {word: [] for word in words}
    for path in filter(Path.is_file, (world.stack.layout.root / folder).rglob("*")):
        try:
            content = path.read_bytes()
        except OSError:  # gone meanwhile
            continue
        for word, spellings in forms.items():
            if any(spelling in content for spelling in spellings):
                hits[word].append(path.name)
    return hits


@tried("11", ["confirmed and given up"])
def test_the_servers_files(world: World, how: str) -> None:
    # given a sealed request with canaries, and another that cannot be read and is kept for an operator
    name, mail, answer, title = (f"canary{secrets.token_hex(12)}" for _ in range(4))
    host = f"dr-{secrets.token_hex(12)}"
    world.connect(host, "google")
    invitee = {"name": name, "email": f"{mail}@example.com", "time_zone": "UTC", "fields": {"Why?": answer}}
    keys = world.ask("booking", "public_keys")
    sealed = seal_for(keys, msgspec.json.encode({"invitee": invitee, "title": title}))
    request = world.request(host, tomorrow(), sealed=sealed)
    del request["data"]["invitee"]
    with world.tap() as tap:
        world.emit([request, {**request, "id": secrets.token_hex(8), "data": {**request["data"], "start": 17}}])
        heard = heard_within(tap, lambda h: h.of("calendar-event-written"))
    assert heard.confirmed([request])
    # then what is not hidden is found in the files of both servers, and what was sealed in none
    for server in ("mongod", "rabbitmq", "logs"):
        hits = found(world, [host, name, mail, answer, title], server)
        assert hits.pop(host), f"the search is blind in {server}"
        assert not any(hits.values()), f"{server}: {hits}"

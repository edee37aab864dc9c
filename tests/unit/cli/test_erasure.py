"""`valet erase`, `valet erasures`, `valet receipt verify`: from events to words and exit codes. Nobody is named."""

import io
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from deploy.cli import main
from deploy.cli.answers import ErasureLine, ErasureSeen
from deploy.cli.doctor.erasures import judged
from deploy.cli.erasure import erase, erasures, receipts
from deploy.cli.erasure.progress import KINDS, Erasure, age, conclusion, document, exit_code, steps, waits_for
from deploy.cli.errors import ExitCode
from deploy.cli.follow import Desk, Ear
from libs.contracts import codec
from libs.contracts.events import OPERATOR, ErasureRefused, ErasureRequested, ErasureStep, Event, RequestRef
from libs.contracts.events import PersonalDataErased as Receipt
from libs.contracts.reasons import Reason
from libs.crypto.envelopes import Envelopes
from libs.crypto.receipts import ReceiptSigner
from libs.testing.keys import keyring

ADDRESS = "ada@example.com"
AT = datetime(2030, 5, 17, 13, tzinfo=UTC)
ID = f"er_{'a' * 26}"
MINE, OTHER = RequestRef(source=OPERATOR, id="e-1"), RequestRef(source=OPERATOR, id="e-2")
SIGNER = ReceiptSigner(keyring())
JWKS = {"keys": [*Envelopes(keyring()).public_keys()["keys"][:1], SIGNER.public_key()]}
BEYOND = ErasureStep(what="backups", outcome="beyond-reach", count=0)


def receipt(version: int = 1, *, of: RequestRef = MINE, left: str = "done", more: str | None = None) -> Receipt:
    """A signed receipt; `left` is what became of the entries."""
    lines = [ErasureStep(what="calendar-entries", outcome=left, count=2), BEYOND]  # type: ignore[arg-type]  # one of four
    lines += [ErasureStep(what=more, outcome="beyond-reach", count=1)] if more else []
    unsigned = Receipt(
        erasure=ID,
        version=version,
        request=of,
        person="a" * 52,
        erased_at=AT,
        finished=left != "to-be-retried",
        steps=tuple(lines),
        signature="none",
    )
    return msgspec.structs.replace(unsigned, signature=SIGNER.sign(msgspec.to_builtins(unsigned)))


def envelope(data: Event) -> codec.Envelope:
    event = codec.event(data, id="e", source="urn:valet:booking", time=AT)
    return codec.read(codec.encode(event), codec.STRUCTURED, {})


def heard(*told: Event) -> Erasure:
    found = Erasure(MINE)
    for data in told:
        found.hear(envelope(data))
    return found


def printed(what: Any) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(what)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO above
    return text


class TestFollowing:
    @pytest.mark.parametrize(
        ("told", "code", "word"),
        [
            ((), ExitCode.NO_OUTCOME, "no receipt"),
            ((receipt(of=OTHER),), ExitCode.NO_OUTCOME, "no receipt"),
            ((receipt(left="to-be-retried"),), ExitCode.NO_OUTCOME, "another receipt follows"),
            ((receipt(),), ExitCode.OK, "erased"),
            ((receipt(left="to-be-retried"), receipt(2)), ExitCode.OK, "erased"),
            ((receipt(2), receipt(1, left="to-be-retried")), ExitCode.OK, "erased"),
            ((receipt(more="calendar-entries-beyond-reach"),), ExitCode.TROUBLE, "only their hosts"),
            ((ErasureRefused(request=MINE, reason=Reason.INVALID_EMAIL),), ExitCode.REJECTED, "nothing was erased"),
            ((ErasureRefused(request=OTHER, reason=Reason.INVALID_EMAIL),), ExitCode.NO_OUTCOME, "no receipt"),
        ],
    )
    def test_what_is_heard_decides_words_and_exit_code(self, told: tuple[Event, ...], code: int, word: str) -> None:
        found = heard(*told)

        assert exit_code(found) == code
        assert word in conclusion(found)[0]
        assert document(found)["finished"] is (code in (ExitCode.OK, ExitCode.TROUBLE))

    def test_how_to_go_on_is_said(self) -> None:
        assert f"`valet erasures {ID}`" in conclusion(heard(receipt(left="to-be-retried")))[1]
        assert "--id e-1" in conclusion(heard())[1]
        assert "`valet erasures`" in conclusion(heard())[1]

    def test_the_receipt_is_kept_as_it_came_so_that_it_can_be_verified(self) -> None:
        event = heard(receipt()).event
        assert event is not None
        receipts.see_genuine(event["data"], JWKS)

    def test_what_is_no_receipt_is_passed_over(self) -> None:
        broken = codec.read(
            json.dumps({"specversion": "1.0", "id": "x", "source": "urn:x", "type": KINDS[0], "data": {}}).encode(),
            codec.STRUCTURED,
            {},
        )
        assert Erasure(MINE).hear(broken) is False


class TestWords:
    def test_what_is_beyond_reach_stands_apart_unless_it_is_known_to_be_there(self) -> None:
        text = printed(steps(receipt(more="calendar-entries-beyond-reach").steps))
        table, _, beyond = text.partition("beyond the reach of Valet")

        assert "calendar-entries-beyond-reach" in table
        assert "backups" in beyond
        assert "backups" not in table

    def test_what_is_not_known_yet_is_shown_all_the_same(self) -> None:
        assert "moon-base" in printed(steps([ErasureLine("moon-base", "done", 3)]))

    def test_what_is_waited_for(self) -> None:
        assert waits_for(receipt(left="to-be-retried").steps) == "calendar-entries (2)"
        assert waits_for(receipt().steps) == "-"

    @pytest.mark.parametrize(
        ("ago", "words"),
        [
            (timedelta(seconds=59), "0 min"),
            (timedelta(hours=3, minutes=5), "3 h 5 min"),
            (timedelta(days=2.5), "2 d 12 h"),
        ],
    )
    def test_ages(self, ago: timedelta, words: str) -> None:
        assert age(AT - ago, AT) == words


class TestDoctor:
    def seen(self, hours: float, state: str = "open") -> ErasureSeen:
        line = ErasureLine("calendar-entries", "to-be-retried", 1)
        return ErasureSeen(ID, "a" * 52, state, AT - timedelta(hours=hours), {"id": "e-1"}, (line,))

    def test_one_that_is_open_for_more_than_a_day_is_red(self) -> None:
        found = judged([self.seen(1), self.seen(49)], AT)

        assert not found.ok
        assert ("1 open for too long" in found.detail, "2 d 1 h" in found.detail) == (True, True)
        assert "calendar-entries (1)" in found.detail

    @pytest.mark.parametrize(("hours", "state"), [(1, "open"), (99, "finished")])
    def test_others_are_green(self, hours: float, state: str) -> None:
        assert judged([self.seen(hours, state)], AT).ok
        assert judged([], AT).ok


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[ErasureRequested, RequestRef]]:
    """What is asked of a bus that has a receipt for it at once."""
    asked: list[tuple[ErasureRequested, RequestRef]] = []
    monkeypatch.setenv("VALET_AMQP_URL", "amqps://operator:hushhush@localhost:5671/valet")
    monkeypatch.setattr(erase, "Questions", lambda _: Asked())
    monkeypatch.setattr(Desk, "send", lambda self, data, request, trace: asked.append((data, request)))
    monkeypatch.setattr(Ear, "__init__", lambda self, settings, kinds: None)
    monkeypatch.setattr(Ear, "__exit__", lambda self, *_: None)
    monkeypatch.setattr(Ear, "events", lambda self, seconds: iter([envelope(receipt(of=asked[-1][1]))]))
    return asked


class Asked:
    """The booking service's answers."""

    def __call__(self, service: str, method: str, *args: Any) -> Any:
        return {"booking.public_keys": JWKS, "booking.erasures": []}[f"{service}.{method}"]

    def close(self) -> None:
        pass


class TestErase:
    @pytest.mark.parametrize(("wait", "code"), [("0", 4), ("9", 0)])
    def test_the_address_leaves_sealed_and_is_never_printed(
        self, wait: str, code: int, sent: list[tuple[ErasureRequested, RequestRef]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main.main(["erase", ADDRESS, "--yes", "--wait", wait, "--json"]) == code
        ((data, request),) = sent
        assert (data.email, request.source) == (None, OPERATOR)
        assert json.loads(Envelopes(keyring()).open(data.sealed or "")) == {"email": ADDRESS}
        out = capsys.readouterr()
        assert "ada@" not in out.out + out.err

    def test_it_can_come_from_stdin_and_the_receipt_goes_into_a_new_file(
        self,
        sent: list[tuple[ErasureRequested, RequestRef]],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        file, keys = tmp_path / "receipt.json", tmp_path / "keys.json"
        keys.write_text(json.dumps(JWKS))
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"\n  {ADDRESS}  \n"))

        assert main.main(["erase", "-", "--yes", "--out", str(file)]) == 0
        assert main.main(["receipt", "verify", str(file), "--keys", str(keys)]) == 0
        monkeypatch.setattr(sys, "stdin", io.StringIO(ADDRESS))
        assert main.main(["erase", "-", "--yes", "--out", str(file)]) == 2, "a receipt is not written over"
        out = capsys.readouterr()
        assert "genuine, and finished" in out.out
        assert "ada@" not in out.out + out.err

    @pytest.mark.parametrize("typed", ["", "\n", f"{ADDRESS}\nben@example.com\n", "ada at example"])
    def test_what_is_not_one_address_is_refused_without_repeating_it(
        self, typed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        assert main.main(["erase", "-", "--yes"]) == 2
        out = capsys.readouterr()
        assert "what to do" in out.err
        assert "ada@ex" not in out.err.replace("such as ada@example.com", "")
        assert "ben" not in out.err

    def test_nothing_is_sent_without_a_yes(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main.main(["erase", ADDRESS]) == 2
        assert "cannot be taken back" in capsys.readouterr().err

    def test_one_that_does_not_exist_is_said_not_to(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(erasures, "ask", lambda context, *_: (context.obj, None))
        assert main.main(["erasures", ID]) == 1
        assert f"there is no erasure {ID}" in capsys.readouterr().err

    def test_open_ones_say_what_they_wait_for(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        line = {"what": "calendar-entries", "outcome": "to-be-retried", "count": 2}
        row = {"erasure": ID, "person": "a" * 52, "state": "open", "asked_at": AT.isoformat(), "steps": [line]}
        answers = {"erasures": [row], "erasure": row}
        monkeypatch.setattr(erasures, "ask", lambda context, _, method, *__: (context.obj, answers[method]))
        assert main.main(["erasures"]) == 0
        assert "calendar-entries (2)" in capsys.readouterr().out
        assert main.main(["erasures", ID]) == 0
        assert "to-be-retried" in capsys.readouterr().out

    def test_an_erasure_is_named_by_its_id(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main.main(["erasures", ADDRESS]) == 2
        assert "er_" in capsys.readouterr().err


def put(folder: Path, value: Any, name: str = "receipt.json") -> str:
    file = folder / name
    file.write_text(value if isinstance(value, str) else json.dumps(value))
    return str(file)


def as_json(data: Receipt) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(data)
    return plain


class TestVerify:
    def verify(self, folder: Path, given: Any, jwks: Any = JWKS) -> int:
        return main.main(["receipt", "verify", put(folder, given), "--keys", put(folder, jwks, "keys.json")])

    def test_the_event_and_its_data_alone_are_genuine(self, tmp_path: Path) -> None:
        data = as_json(receipt())
        assert self.verify(tmp_path, data) == 0
        assert self.verify(tmp_path, {"specversion": "1.0", "type": "personal-data-erased", "data": data}) == 0

    def test_one_that_is_not_finished_is_told_apart(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.verify(tmp_path, as_json(receipt(left="to-be-retried"))) == 4
        assert "not finished" in capsys.readouterr().out

    @pytest.mark.parametrize(
        "changes",
        [
            {"finished": False},
            {"version": 2},
            {"erased_at": "2030-05-17T13:00:01Z"},
            {"person": "b" * 52},
            {"steps": []},
            {"added": "later"},
            {"request": {"source": OPERATOR, "id": "e-9"}},
        ],
    )
    def test_an_altered_one_is_found_out(
        self, changes: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.verify(tmp_path, as_json(receipt()) | changes) == 1
        assert "altered" in capsys.readouterr().err

    def test_so_is_one_of_another_installation(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        foreign = {**SIGNER.public_key(), "kid": "another"}
        assert self.verify(tmp_path, as_json(receipt()), {"keys": [foreign]}) == 1
        assert "another installation's" in capsys.readouterr().err
        assert self.verify(tmp_path, as_json(receipt()) | {"signature": "e30..x"}) == 1
        assert "another installation's" in capsys.readouterr().err

    @pytest.mark.parametrize("given", ["", "[]", "{}", '{"type": "booking-confirmed", "data": {}}', '{"data": 7}'])
    def test_what_is_no_receipt_is_misuse(self, given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.verify(tmp_path, given) == 2
        assert "what to do" in capsys.readouterr().err

    @pytest.mark.parametrize("jwks", ["", "{}", '{"keys": 7}', '{"keys": [7]}'])
    def test_so_is_what_is_no_key_set(self, jwks: str, tmp_path: Path) -> None:
        assert self.verify(tmp_path, as_json(receipt()), jwks) == 2

    def test_a_key_set_without_keys_for_signatures_is_named(self, tmp_path: Path) -> None:
        assert self.verify(tmp_path, as_json(receipt()), {"keys": JWKS["keys"][:1]}) == 1

    def test_a_file_that_is_not_there_is_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main.main(["receipt", "verify", "nowhere.json"]) == 2
        assert "nowhere.json" in capsys.readouterr().err

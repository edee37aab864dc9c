"""What strangers may write ends up in a host's calendar: as text, cleaned, and nothing else."""

import html
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.sandbox.accounts import Provider
from libs.contracts.questions import EntryTexts
from services.calendar_writer.texts import description, title
from tests.attacks.rows import EXAMPLES, tried
from tests.attacks.scene import heard_within
from tests.e2e.world import World, tomorrow

EVIL: dict[str, str] = {
    "script": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)>",
    "link": '<a href="https://evil.example">your bank</a>',
    "entity": "&lt;script&gt;alert(1)&lt;/script&gt;",
    "CRLF": "Ada\r\nBCC: everybody@example.com\r\n\r\nBEGIN:VEVENT",
    "line separators": "Ada\u2028second\u2029third\x85fourth",
    "control characters": "Ada\x00\x07\x08\x1b[31mred\x7f",
    "turned direction": "Ada \u202egnp.exe\u202c \u2066x\u2069 \u200f",
    "invisible": "A\u200bd\u200da\ufeff \u00ad\U000e0041",
    "many combined": "A" + "\u0301" * 50,
    "halves of a pair and private use": "Ada \ue000 \uffff",
    "formula": '=HYPERLINK("https://evil.example")',
}
SEEN = {"google": ("summary", "description"), "microsoft": ("subject", "body")}


def harmless(text: str, lines: bool) -> bool:
    """Whether nothing in the text acts: no control or format characters, at most line ends."""
    kept = text.replace("\n", "") if lines else text
    return all(unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn") for c in kept)


@pytest.mark.parametrize("provider", ["google", "microsoft"])
@tried("14", {"all of them, everywhere": EVIL})
def test_evil_texts_in_a_calendar(world: World, names: str, provider: Provider, how: dict[str, str]) -> None:
    # given requests with evil in the name, in answers, in what was asked and in the title
    host = f"dr-texts-{provider[:2]}-{names}"
    account = world.connect(host, provider)
    requests = [world.request(host, tomorrow(1 + at), **evil_request(text)) for at, text in enumerate(how.values())]
    with world.tap() as tap:
        world.emit(requests)
        heard = heard_within(tap, lambda h: len(h.written() & h.confirmed(requests).keys()) == len(requests))
    # then each stands in the calendar, as text
    assert heard.outcomes(requests) == {("booking-confirmed", None): len(requests)}
    entries = world.entries(provider, account)
    assert len(entries) == len(requests)
    for entry in entries:
        line, body = (entry["raw"][field] for field in SEEN[provider])
        assert harmless(line, lines=False), line
        if provider == "microsoft":
            assert body["contentType"] == "text"
            assert harmless(body["content"], lines=True)
        else:  # "Can contain HTML" (developers.google.com/workspace/calendar/api/v3/reference/events)
            assert "<" not in body
            assert ">" not in body
            assert harmless(body, lines=True)
    shown = "".join(html.unescape(str(entry["raw"][SEEN[provider][1]])) for entry in entries)
    assert "alert(1)" in shown  # nothing was hidden from the host either


def evil_request(text: str) -> dict[str, Any]:
    """The text in every place that takes one."""
    fields = {text: text, f"Also {text}": f"first\n{text}"}
    invitee = {"name": text, "email": "ada@example.com", "time_zone": "UTC", "fields": fields}
    return {"invitee": invitee, "title": text}


class TestProperties:
    """Any text at all."""

    @settings(max_examples=EXAMPLES)
    @given(text=st.text(min_size=1, max_size=40), answer=st.text(max_size=80))
    @tried("14", ["any text at all"])
    def test_any_text(self, how: str, text: str, answer: str) -> None:
        texts = EntryTexts(name=text, email="ada@example.com", time_zone="UTC", fields={text: answer}, title=text)
        assert harmless(title(texts), lines=False)
        assert harmless(description(texts, "bk_" + "a" * 26), lines=True)
        assert not re.search(r"[\r\v\f\x1c-\x1e\x85\u2028\u2029]", description(texts, "bk_x"))


MAILS = {
    "line break": "ada@example.com\r\nBcc: eve@example.com",
    "script": "<script>@example.com",
    "two": "ada@example.com,eve@example.com",
    "turned direction": "ada\u202e@example.com",
    "quoted": '"<b>"@example.com',
    "comment": "ada(comment)@example.com",
    "address literal": "ada@[127.0.0.1]",
}


@tried("14", MAILS)
def test_what_is_no_address_is_refused(world: World, names: str, how: str) -> None:
    invitee = {"name": "Ada Example", "email": how, "time_zone": "UTC", "fields": {}}
    request = world.request(f"dr-{names}", tomorrow(), invitee=invitee)
    with world.tap("booking-rejected") as tap:
        world.emit([request])
        heard = heard_within(tap, lambda h: h.outcome(request["id"]))
    assert heard.outcomes([request]) == {("booking-rejected", "invalid-email"): 1}


@tried("14", {"path": "../../etc/passwd", "script": "<script>", "newline": "UTC\nX", "absolute": "/etc/passwd"})
def test_what_is_no_time_zone_is_refused(world: World, names: str, how: str) -> None:
    invitee = {"name": "Ada Example", "email": "ada@example.com", "time_zone": how, "fields": {}}
    request = world.request(f"dr-{names}", tomorrow(), invitee=invitee)
    with world.tap("booking-rejected") as tap:
        world.emit([request])
        heard = heard_within(tap, lambda h: h.outcome(request["id"]))
    assert heard.outcomes([request]) == {("booking-rejected", "unknown-time-zone"): 1}

"""The operator's commands against the running stack: what they answer, their exit codes, and what they never print."""

from datetime import datetime, timedelta

import pytest

from tests.e2e.cli.conftest import INVITEE, Valet

PERSONAL = ("Ada", "ada@", "555-0100")


def test_a_host_is_connected_free_booked_and_shown(connected: str, start: datetime, valet: Valet) -> None:
    # given a connected host, who is listed as such
    hosts = {host["host"]: host["state"] for host in valet("hosts", "--limit", "5000", "--json").document["hosts"]}
    assert hosts[connected] == "connected"
    # when a free time is looked for and booked
    span = ("--from", start.isoformat(), "--to", (start + timedelta(hours=1)).isoformat())
    free = valet("slots", connected, *span, "--duration", "15", "--json").document
    assert datetime.fromisoformat(free["slots"][0]["start"]) == start
    booked = valet("book", connected, start.isoformat(), "--minutes", "15", *INVITEE, "--wait", "60")
    # then its journey is told step by step
    assert booked.code == 0, booked.err
    words = booked.out.split()
    order = [words.index(step) for step in ("requested", "held", "approved", "written")]
    assert order == sorted(order)
    # and it can be shown
    booking = next(word for word in words if word.startswith("bk_"))
    shown = valet("show", booking, "--json").document
    assert (shown["state"], shown["calendar"]["state"]) == ("confirmed", "written")
    # and nothing personal was printed anywhere
    printed = booked.out + booked.err + valet("show", booking).out
    assert not any(word in printed for word in PERSONAL)


def test_the_same_request_again_has_the_same_outcome(connected: str, start: datetime, valet: Valet) -> None:
    request = (
        "book",
        connected,
        start.isoformat(),
        "--minutes",
        "15",
        *INVITEE,
        "--id",
        f"r-{start:%Y%m%d%H%M}",
        "--json",
    )
    first, second = valet(*request), valet(*request)
    assert (first.code, second.code) == (0, 0)
    assert first.document["booking"] == second.document["booking"]


def test_a_rejection_is_exit_code_3_with_its_reason(connected: str, start: datetime, valet: Valet) -> None:
    odd = start + timedelta(minutes=1)
    ended = valet("book", connected, odd.isoformat(), "--minutes", "15", *INVITEE, "--json")
    assert (ended.code, ended.document["reason"]) == (3, "off-grid")


def test_no_outcome_in_time_is_exit_code_4(connected: str, start: datetime, valet: Valet) -> None:
    ended = valet("book", connected, start.isoformat(), "--minutes", "15", *INVITEE, "--wait", "0")
    assert ended.code == 4
    assert "--id" in ended.out


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("slots", "nobody-at-all"), "unknown-host"),
        (("show", f"bk_{'z' * 26}"), "there is no booking"),
    ],
)
def test_what_is_not_there_is_trouble_with_an_advice(words: tuple[str, ...], what: str, valet: Valet) -> None:
    ended = valet(*words, "--json")
    assert ended.code == 1
    assert what in ended.document["error"]["what"]
    assert ended.document["error"]["do"]

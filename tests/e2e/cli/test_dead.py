"""Dead letters as an operator meets them: listed, shown, put back, dropped; nothing personal is seen."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from libs.messaging import dead, topology
from libs.messaging.link import Link
from libs.messaging.publisher import Outgoing, Publisher
from tests.e2e.cli.conftest import Valet
from tests.e2e.world import World
from tests.integration.messaging.support import held, wait_until

PERSON = "Ada Example <ada@example.com>"


@pytest.fixture(autouse=True)
def none_before(link: Link) -> Iterator[None]:
    """No letters of other tests, before or after."""

    def empty() -> None:
        connection = link.open()
        for service in ("auth", "availability", "booking", "calendar-writer"):
            with suppress(Exception):
                connection.connection.channel().queue_purge(topology.dead_queue(service))
        connection.release()

    empty()
    yield
    empty()


@pytest.fixture
def put(link: Link) -> Iterator[Callable[..., str]]:
    """Put a letter there; its name."""
    publisher = Publisher(link, 10)

    def put_(service: str, **given: Any) -> str:
        name = uuid.uuid4().hex
        fields: dict[str, Any] = {"reason": "attempts-exhausted", "attempts": 12, "at": 1_900_000_000_000, "size": 9}
        publisher.publish([dead.outgoing(dead.DeadLetter(letter=name, **{**fields, **given}), service)])
        return name

    yield put_
    publisher.close()


def listed(valet: Valet, *words: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = valet("dead", "list", *words, "--json").document["letters"]
    return rows


def test_a_message_that_cannot_be_read_is_listed_shown_and_dropped(world: World, valet: Valet) -> None:
    # given an emitter that sends what is no event, with a person in it
    world.emitter.publish([Outgoing("events", "booking-requested", f'{{"{PERSON}'.encode(), "application/json")])
    wait_until(lambda: listed(valet, "--service", "booking"), 30)
    # then it is listed, by its reason, and can be shown: sealed
    (row,) = listed(valet, "--reason", "not-a-cloudevent")
    assert (row["service"], row["queue"], row["content"]) == ("booking", "booking.hold-bookings", "sealed")
    shown = valet("dead", "show", row["id"])
    assert "not-a-cloudevent" in shown.out
    printed = shown.out + valet("dead", "list").out + valet("dead", "show", row["id"], "--json").out
    assert not any(part in printed for part in ("Ada Ex", "ada@ex"))  # what a sealed letter can't hold by chance
    # when it is put back, then it is opened by its service alone, and is a letter again under another name
    assert valet("dead", "replay", row["id"]).code == 0
    unread = ("--reason", "not-a-cloudevent")
    wait_until(lambda: [one["id"] for one in listed(valet, *unread)] not in ([], [row["id"]]), 30)
    (after,) = listed(valet, *unread)
    assert (after["reason"], after["content"]) == ("not-a-cloudevent", "sealed")
    # when it is dropped, then only after a yes
    refused = valet("dead", "drop", after["id"])
    assert refused.code == 2
    assert "never be answered" in refused.err
    assert valet("dead", "drop", after["id"], "--yes", "--json").document["dropped"][0].startswith(after["id"])
    assert listed(valet, *unread) == []


def test_only_the_named_letter_is_put_back_and_handled(world: World, put: Callable[..., str], valet: Valet) -> None:
    # given two letters of holds that availability could not answer
    body = held(f"h-{uuid.uuid4().hex}").decode()
    queue = {"queue": "availability.check-holds", "type": "booking-held"}
    first, second = (put("availability", body=body, id=f"h-{n}", **queue) for n in (1, 2))
    # when one is put back
    with world.tap("hold-approved", "hold-refused") as tap:
        ended = valet("dead", "replay", first[:8], "--json")
        assert ended.document == {"replayed": [first], "failed": []}
        # then availability answers it
        assert next(tap.events(30), None) is not None
    # and the other one waits still
    assert [row["event"]["id"] for row in listed(valet)] == ["h-2"]
    assert valet("dead", "show", second, "--json").document["body"]["type"] == "booking-held"


def test_what_was_not_kept_cannot_be_put_back(put: Callable[..., str], valet: Valet, world: World) -> None:
    name = put("booking", queue="booking.hold-bookings", reason="too-large", size=2**20)
    ended = valet("dead", "replay", "--all", "--json")
    assert ended.code == 1
    assert ended.document == {"replayed": [], "failed": [{"id": name, "why": "its content was not kept"}]}
    assert len(listed(valet)) == 1


def test_more_than_asked_for_is_counted(put: Callable[..., str], valet: Valet, world: World) -> None:
    for _ in range(3):
        put("booking", queue="booking.hold-bookings")
    document = valet("dead", "list", "--limit", "2", "--json").document
    assert (len(document["letters"]), document["more"]) == (2, 1)
    assert "1 more" in valet("dead", "list", "--limit", "2").out
    assert len(listed(valet)) == 3


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (("replay",), 2, "which letters"),
        (("replay", "abcdefgh", "--all"), 2, "which letters"),
        (("replay", "abc"), 2, "too short"),
        (("drop", "00000000", "--yes"), 1, "there is no letter"),
        (("show", "00000000"), 1, "there is no letter"),
        (("list", "--service", "bookings"), 2, "--service"),
        (("drop", "--all", "--yes"), 1, "no dead letter waits"),
    ],
)
def test_what_cannot_be_done_is_said(words: tuple[str, ...], code: int, what: str, valet: Valet, world: World) -> None:
    ended = valet("dead", *words, "--json")
    assert ended.code == code
    assert what in ended.document["error"]["what"]
    assert ended.document["error"]["do"]

"""Facts and requests that come by ways on which the broker checks nothing, or name somebody else as their source; and other
hosts' bookings. A real RabbitMQ with the services at work."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import amqp
import pytest
from amqp.exceptions import AccessRefused

from deploy.local.stack import Stack
from libs.contracts import codec
from libs.contracts.events import OPERATOR
from tests.attacks.detours import MINE, WAYS
from tests.attacks.rows import tried
from tests.attacks.scene import booked, heard_within, letters, texts
from tests.e2e.world import World, dead_letters, envelope, tomorrow
from tests.integration.local_stack.clients import amqp_connection

REMOVED = "calendar-event-removed"


@pytest.fixture(scope="module")
def scene(stack: Stack) -> tuple[World, str, str, str]:
    """World, host, account, and a booking that stands in the host's calendar."""
    world, host = World(stack), f"dr-detour-{uuid.uuid4().hex[:8]}"
    account = world.connect(host, "google")
    return world, host, account, booked(world, host, "google")


@pytest.fixture
def tidy(stack: Stack) -> Iterator[None]:
    yield
    with amqp_connection(stack.env("operator")) as connection:
        connection.channel().queue_delete(MINE)
        connection.channel().exchange_delete(MINE)


def removed_by_host(host: str, booking: str, version: int) -> amqp.Message:
    """The calendar-writer's word that the host deleted an entry: a booking is cancelled for it."""
    data = {
        "booking": booking,
        "version": version,
        "host": host,
        "provider": "google",
        "attempt": 1,
        "reason": "removed-by-host",
    }
    event = envelope(REMOVED, data, source="urn:valet:calendar-writer", subject=booking)
    return amqp.Message(json.dumps(event), content_type=codec.STRUCTURED, message_id=event["id"])


@tried("+1", WAYS)
@pytest.mark.usefixtures("tidy")
def test_a_forged_fact(scene: tuple[World, str, str, str], how: Callable[[Any, str, amqp.Message], None]) -> None:
    # given a booking that stands
    world, host, account, booking = scene
    stood = texts(world, "google", account)
    # when an emitter says by a detour that its entry was deleted
    forged = removed_by_host(host, booking, world.journeys([booking])[booking]["version"])
    refused = False
    with amqp_connection(world.stack.env("emitter")) as connection:
        try:
            how(connection.channel(), REMOVED, forged)
        except AccessRefused:
            refused = True
    # then the broker refuses it, or the service lays it aside and keeps nothing of it
    if not refused:
        found = letters(world, "booking", lambda letter: letter.get("id") == forged.properties["message_id"])
        assert {letter["reason"] for letter in found} <= {"wrong-route", "unknown-type"}
        assert found
        assert all("body" not in letter for letter in found)
    # and the booking stands as it stood
    assert world.journeys([booking])[booking]["state"] == "confirmed"
    assert texts(world, "google", account) == stood


@tried("+1", {"said by the writer itself, to know that the experiment works": "calendar-writer"})
def test_the_same_fact_from_who_may_say_it(scene: tuple[World, str, str, str], how: str) -> None:
    world, host, _, _ = scene
    booking = booked(world, host, "google", hour=15)
    fact = removed_by_host(host, booking, world.journeys([booking])[booking]["version"])
    with world.tap("booking-cancelled") as tap, amqp_connection(world.stack.env(how)) as connection:
        connection.channel().basic_publish_confirm(fact, "events", REMOVED)
        heard = heard_within(tap, lambda h: h.of("booking-cancelled"))
    assert [event["data"]["booking"] for event in heard.of("booking-cancelled")] == [booking]


@tried("+2", [OPERATOR, "urn:valet:booking", "urn:valet:"])
def test_an_emitter_that_calls_itself_valet(scene: tuple[World, str, str, str], how: str) -> None:
    world, _, _, booking = scene
    pretended = envelope("cancellation-requested", {"booking": booking}, source=how)
    world.emit([pretended])
    found = letters(world, "booking", lambda letter: letter.get("id") == pretended["id"])
    assert [(letter["reason"], letter.get("body"), letter.get("sealed")) for letter in found] == [
        ("foreign-source", None, None)
    ]
    assert world.journeys([booking])[booking]["state"] == "confirmed"
    dead_letters(world)


@tried("+2", ["another user's name", "the operator's name"])
def test_the_broker_lets_nobody_sign_for_another(scene: tuple[World, str, str, str], how: str) -> None:
    world, _, _, booking = scene
    event = envelope("cancellation-requested", {"booking": booking}, source=OPERATOR)
    user = "valet-operator" if "operator" in how else "valet-booking"
    message = amqp.Message(json.dumps(event), content_type=codec.STRUCTURED, user_id=user)
    with amqp_connection(world.stack.env("emitter")) as connection, pytest.raises(amqp.PreconditionFailed):
        connection.channel().basic_publish_confirm(message, "events", "cancellation-requested")
    assert world.journeys([booking])[booking]["state"] == "confirmed"


@tried("+2", ["without the broker's word"])
def test_a_booking_that_the_broker_vouched_for(scene: tuple[World, str, str, str], how: str) -> None:
    # given a booking whose emitter had the broker vouch for its name
    world, host, _, _ = scene
    request = world.request(host, tomorrow(12))
    with world.tap() as tap:
        as_emitter(world, request, user_id=EMITTER)
        heard = heard_within(tap, lambda h: h.confirmed([request]))
        (booking,) = heard.confirmed([request])
        # when somebody who knows source and id asks to cancel it, and the broker vouches for nobody
        as_emitter(world, forged := envelope("cancellation-requested", {"booking": booking}))
        heard = heard_within(tap, lambda h: answers(h, [forged]))
        # then it is as unknown as one that never was, and its own emitter can cancel it
        assert answers(heard, [forged])[forged["id"]]["reason"] == "unknown-booking"
        as_emitter(world, own := envelope("cancellation-requested", {"booking": booking}), user_id=EMITTER)
        heard = heard_within(tap, lambda h: answers(h, [own]))
    assert answers(heard, [own])[own["id"]]["booking"] == booking
    assert world.journeys([booking])[booking]["state"] == "cancelled"


EMITTER = "emitter-demo"


def as_emitter(world: World, event: dict[str, Any], **properties: Any) -> None:
    """Publish with these properties."""
    message = amqp.Message(json.dumps(event), content_type=codec.STRUCTURED, **properties)
    with amqp_connection(world.stack.env("emitter")) as connection:
        connection.channel().basic_publish_confirm(message, "events", event["type"])


UNKNOWN = "bk_" + "a" * 26
HOUR = {"start": tomorrow(16).isoformat(), "end": tomorrow(17).isoformat()}
CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "cancellation": ("cancellation-requested", {}),
    "reschedule": ("reschedule-requested", HOUR),
}


@tried("21", CHANGES)
def test_anothers_booking_is_as_good_as_none(
    scene: tuple[World, str, str, str], how: tuple[str, dict[str, Any]]
) -> None:
    # given a booking of one shop's, and another shop that has learned its id
    world, _, _, booking = scene
    kind, data = how
    asked = [envelope(kind, {"booking": id, **data}, source="urn:example:other") for id in (booking, UNKNOWN)]
    # when the other shop asks to change it, and one that never was
    with world.tap("change-refused", "booking-cancelled", "booking-rescheduled") as tap:
        world.emit(asked)
        heard = heard_within(tap, lambda h: len(answers(h, asked)) == 2)
    # then both are answered alike, but for what was asked
    theirs, none = (answers(heard, asked)[request["id"]] for request in asked)
    assert theirs["reason"] == "unknown-booking"
    assert {**theirs, "booking": 0, "request": 0} == {**none, "booking": 0, "request": 0}
    assert world.journeys([booking])[booking]["state"] == "confirmed"


def answers(heard: Any, asked: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What was said about these requests, by their ids."""
    ids = {request["id"] for request in asked}
    told = [event["data"] for event in heard.events]
    refs = [(data.get("change") or data["request"], data) for data in told if "request" in data]
    return {ref["id"]: data for ref, data in refs if ref["id"] in ids}


@tried("21", ["slots that another host's booking would free"])
def test_another_hosts_booking_frees_no_time(scene: tuple[World, str, str, str], how: str) -> None:
    # given a busy host, and a booking of another's at the same time
    world, _, _, mine = scene
    other = f"dr-other-{uuid.uuid4().hex[:8]}"
    world.connect(other, "microsoft")
    booked(world, other, "microsoft")
    day = {"start": tomorrow(8).isoformat(), "end": tomorrow(11).isoformat(), "duration_minutes": 30}

    def slots(moving: str | None) -> Any:
        more = {} if moving is None else {"moving": moving}
        return world.ask("availability", "slots", other, deadline=30.0, **day, **more)["slots"]

    # when it is asked which times are free for moving a booking: of the first host's, and one that never was
    assert slots(mine) == slots(UNKNOWN) == slots(None)


@tried("21", ["a request that was answered, told again to another"])
def test_the_same_id_from_another_source_is_another_request(scene: tuple[World, str, str, str], how: str) -> None:
    world, _, _, booking = scene
    request = world.request("dr-nobody", tomorrow(), id=uuid.uuid4().hex)
    other = {**request, "source": "urn:example:other"}

    def rejected(heard: Any) -> set[str]:
        told = [event["data"] for event in heard.of("booking-rejected")]
        return {data["booking"] for data in told if data["request"]["id"] == request["id"]}

    with world.tap("booking-rejected") as tap:
        world.emit([request, other])
        heard = heard_within(tap, lambda h: len(rejected(h)) == 2)
    assert len(rejected(heard)) == 2
    assert booking not in rejected(heard)

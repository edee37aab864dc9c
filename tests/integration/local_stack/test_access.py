"""What each user may do on the broker and in the database."""

from collections.abc import Callable, Iterator
from typing import Any

import amqp
import pytest
from amqp.exceptions import AccessRefused
from pymongo.errors import OperationFailure

from deploy.local import Stack
from tests.integration.local_stack.clients import amqp_connection, mongo_client

REQUESTS = ["booking-requested", "cancellation-requested", "reschedule-requested", "erasure-requested"]


@pytest.fixture
def emitter(stack: Stack) -> Iterator[Any]:
    with amqp_connection(stack.env("emitter")) as connection:
        yield connection.channel()


@pytest.mark.parametrize("event_type", REQUESTS)
def test_an_emitter_may_state_requests(stack: Stack, emitter: Any, event_type: str) -> None:
    # given a service that listens
    with amqp_connection(stack.env("booking")) as connection:
        listener = connection.channel()
        queue = listener.queue_declare(exclusive=True).queue
        listener.queue_bind(queue, "events", event_type)
        # when the emitter publishes a request, then it arrives
        emitter.basic_publish_confirm(amqp.Message("{}"), "events", event_type)
        assert listener.basic_get(queue, no_ack=True).body == "{}"


@pytest.mark.parametrize("event_type", ["booking-confirmed", "hold-approved", "calendar-event-written", "anything"])
def test_an_emitter_may_not_state_facts(emitter: Any, event_type: str) -> None:
    with pytest.raises(AccessRefused):
        emitter.basic_publish_confirm(amqp.Message("{}"), "events", event_type)


def test_an_emitter_hears_outcomes_on_its_own_queue(stack: Stack, emitter: Any) -> None:
    # given an emitter with a queue of its own
    emitter.queue_declare("emitter-demo.outcomes", exclusive=True)
    emitter.queue_bind("emitter-demo.outcomes", "events", "booking-confirmed")
    # when the booking service states a fact
    with amqp_connection(stack.env("booking")) as connection:
        connection.channel().basic_publish_confirm(amqp.Message("fact"), "events", "booking-confirmed")
    # then the emitter hears it
    assert emitter.basic_get("emitter-demo.outcomes", no_ack=True).body == "fact"


@pytest.mark.parametrize("pattern", ["booking-requested", "#", "*", "booking-held"])
def test_an_emitter_may_not_hear_the_requests_of_others(emitter: Any, pattern: str) -> None:
    queue = emitter.queue_declare(exclusive=True).queue
    with pytest.raises(AccessRefused):
        emitter.queue_bind(queue, "events", pattern)


def test_an_emitter_may_not_make_queues_or_exchanges_of_other_names(stack: Stack) -> None:
    attempts: list[Callable[[Any], object]] = [
        lambda channel: channel.queue_declare("valet.booking.events", durable=True, auto_delete=False),
        lambda channel: channel.exchange_declare("events", "topic", durable=True, auto_delete=False),
        lambda channel: channel.basic_publish_confirm(amqp.Message("x"), "", "valet.booking.events"),
    ]
    for attempt in attempts:
        with amqp_connection(stack.env("emitter")) as connection, pytest.raises(AccessRefused):
            attempt(connection.channel())


def test_the_exchange_is_there_and_durable(stack: Stack) -> None:
    listed = stack.rabbitmqctl("list_exchanges", "-p", "valet", "name", "type", "durable").stdout
    assert "events\ttopic\ttrue" in listed


def test_there_is_no_guest(stack: Stack) -> None:
    with pytest.raises(AccessRefused):
        amqp_connection(stack.env("operator"), userid="guest", password="guest")


def test_a_service_works_in_its_own_database_only(stack: Stack) -> None:
    with mongo_client(stack.env("booking")) as client:
        own, foreign = client.get_default_database(), client["valet_auth"]
        own["probe"].insert_one({"_id": "here"})
        assert own.name == "valet_booking"
        assert own["probe"].find_one() == {"_id": "here"}
        with pytest.raises(OperationFailure, match="not authorized"):
            foreign["probe"].find_one()


def test_the_operator_reads_all_and_writes_nothing(stack: Stack) -> None:
    with mongo_client(stack.env("operator")) as client:
        assert client["valet_calendar_writer"]["nothing"].find_one() is None
        assert client.admin.command("replSetGetStatus")["set"] == "valet"
        with pytest.raises(OperationFailure, match="not authorized"):
            client["valet_booking"]["probe"].insert_one({})


def test_without_a_login_the_database_shows_nothing(stack: Stack) -> None:
    bare = stack.env("booking")
    address = bare["VALET_MONGO_URL"].partition("@")[2]
    address = address.replace("&authSource=admin", "")
    client = mongo_client({**bare, "VALET_MONGO_URL": f"mongodb://{address}"})
    with client, pytest.raises(OperationFailure, match="requires authentication"):
        client["valet_booking"]["probe"].find_one()

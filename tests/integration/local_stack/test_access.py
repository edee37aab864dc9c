"""What each user may do on the broker and in the database."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import amqp
import pytest
from amqp.exceptions import AccessRefused
from pymongo.errors import OperationFailure

from deploy.local import Stack
from libs.contracts import codec
from libs.contracts.reasons import Reason
from libs.messaging import intake, topology
from libs.testing.events import requested
from tests.integration.local_stack.clients import amqp_connection, mongo_client

SERVICES = ("auth", "availability", "booking", "calendar-writer")
REQUESTS = ["booking-requested", "cancellation-requested", "reschedule-requested", "erasure-requested"]


@pytest.fixture
def emitter(stack: Stack) -> Iterator[Any]:
    with amqp_connection(stack.env("emitter")) as connection:
        yield connection.channel()


@pytest.mark.parametrize("event_type", REQUESTS)
def test_an_emitter_may_state_requests(stack: Stack, emitter: Any, event_type: str) -> None:
    # given a service that listens
    with amqp_connection(stack.env("operator")) as connection:
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


@pytest.mark.parametrize("pattern", ["booking-requested", "#", "*", "hold-approved"])
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


FACTS = {
    "auth": "calendar-connected",
    "availability": "hold-approved",
    "booking": "booking-confirmed",
    "calendar-writer": "calendar-event-written",
}
"""A fact that each service states, and no other may."""


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_states_its_own_facts_and_no_others(stack: Stack, service: str) -> None:
    with amqp_connection(stack.env(service)) as connection:
        connection.channel().basic_publish_confirm(amqp.Message("{}"), "events", FACTS[service])
    for fact in [*(fact for who, fact in FACTS.items() if who != service), *REQUESTS, "anything"]:
        assert refused(stack, service, partial(state, fact))


def test_availability_may_not_say_what_only_booking_says(stack: Stack) -> None:
    with (
        amqp_connection(stack.env("availability")) as connection,
        pytest.raises(AccessRefused, match="booking-confirmed"),
    ):
        connection.channel().basic_publish_confirm(amqp.Message("{}"), "events", "booking-confirmed")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_its_own_queues_and_no_others(stack: Stack, service: str) -> None:
    # given all that a service needs
    with amqp_connection(stack.env(service)) as connection:
        channel = connection.channel()
        topology.Queue(service, "probe", ()).declare(channel)
        topology.QuestionQueue(service, "probe").declare(channel)
        channel.queue_delete(f"{service}.probe")
        channel.queue_delete(f"rpc.{service}.probe")
    # then of the others', and of what is shared, it may touch nothing
    other = "booking" if service != "booking" else "auth"
    make_ready(stack, other)
    for forbidden in (
        lambda c: c.queue_declare(f"{other}.mine", durable=True, auto_delete=False),
        lambda c: c.queue_delete(f"{other}.probe"),
        lambda c: c.queue_purge(f"{other}.probe"),
        lambda c: c.basic_get(f"{other}.probe"),
        lambda c: c.basic_get(f"given-up.{other}"),
        lambda c: c.basic_get(f"dead-letters.{other}"),
        lambda c: c.basic_get("wait.1s"),
        lambda c: c.queue_delete("wait.1s"),
        lambda c: c.exchange_delete("events"),
        lambda c: c.exchange_declare("events", "topic", durable=True, auto_delete=False),
        lambda c: c.basic_publish_confirm(amqp.Message("x"), "delay.1s", f"{other}.probe"),
        lambda c: c.basic_publish_confirm(amqp.Message("x"), "retry", f"{other}.probe"),
        lambda c: c.basic_publish_confirm(amqp.Message("x"), "dead-letters", other),
        lambda c: c.queue_bind(f"given-up.{service}", "retry", f"{other}.probe"),
        lambda c: c.queue_bind(f"given-up.{service}", "events", "#"),
        lambda c: c.queue_bind(f"given-up.{service}", "dead", other),
        lambda c: c.basic_publish_confirm(amqp.Message("x"), "dead", other),
        lambda c: c.basic_publish_confirm(amqp.Message("x"), "dead", service),
        lambda c: c.queue_bind(f"given-up.{service}", "nameko-rpc", "#"),
        lambda c: c.queue_bind(f"given-up.{service}", "nameko-rpc", f"{other}.probe"),
    ):
        assert refused(stack, service, forbidden)


QUESTIONS = {
    "auth": ("booking.public_keys",),
    "availability": ("auth.access_tokens",),
    "booking": ("calendar-writer.clear",),
    "calendar-writer": ("auth.access_tokens", "booking.details"),
    "emitter": ("availability.slots", "availability.team_slots"),
}


@pytest.mark.parametrize("who", QUESTIONS)
def test_everybody_puts_only_the_questions_they_need(stack: Stack, who: str) -> None:
    every = {question for questions in QUESTIONS.values() for question in questions} | {"auth.connect_link", "#"}
    for question in every:
        ask = lambda c, q=question: c.basic_publish_confirm(amqp.Message("{}"), "nameko-rpc", q)  # noqa: E731 - bound early
        assert refused(stack, who, ask) is (question not in QUESTIONS[who]), question


def test_an_emitter_is_answered_at_the_address_that_the_broker_lends_it(stack: Stack, emitter: Any) -> None:
    # given availability, and an emitter that waits at its reply-to address
    answers: list[str] = []
    emitter.basic_consume("amq.rabbitmq.reply-to", no_ack=True, callback=lambda m: answers.append(m.body))
    with amqp_connection(stack.env("availability")) as connection:
        answering = connection.channel()
        topology.QuestionQueue("availability", "slots").declare(answering)
        # when it asks, and is answered
        question = amqp.Message("{}", reply_to="amq.rabbitmq.reply-to")
        emitter.basic_publish_confirm(question, "nameko-rpc", "availability.slots")
        asked = answering.basic_get("rpc.availability.slots", no_ack=True)
        answering.basic_publish_confirm(amqp.Message("free"), "", asked.properties["reply_to"])
        emitter.connection.drain_events(timeout=5)
        answering.queue_delete("rpc.availability.slots")
    # then it hears the answer
    assert answers == ["free"]


def by_a_detour(channel: Any, mine: str, exchange: str, key: str, message: amqp.Message) -> None:
    """Have the broker itself publish a message, under a key that it would refuse from this user: out of a queue of the user's
    own, into which an exchange of the user's own leads, and in which it expires."""
    ending = {"x-message-ttl": 1, "x-dead-letter-exchange": exchange, "x-dead-letter-routing-key": key}
    channel.queue_declare(mine, durable=True, auto_delete=False, arguments=ending)
    channel.exchange_declare(mine, "fanout", durable=True, auto_delete=False)
    channel.queue_bind(mine, mine)
    channel.basic_publish_confirm(message, mine, "")


def through_an_exchange(channel: Any, mine: str, exchange: str, key: str, message: amqp.Message) -> None:
    """Publish to an exchange of one's own that leads into another."""
    channel.exchange_declare(mine, "fanout", durable=True, auto_delete=False)
    channel.exchange_bind(exchange, mine)
    channel.basic_publish_confirm(message, mine, key)


def arrived(channel: Any, queue: str) -> Any:
    """The next message in the queue."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if message := channel.basic_get(queue, no_ack=True):
            return message
        time.sleep(0.05)
    raise AssertionError("nothing arrived")


@pytest.fixture
def tidy(stack: Stack) -> Iterator[None]:
    yield
    for name in ("emitter-demo.detour", "availability.detour"):
        with amqp_connection(stack.env("operator")) as connection:
            connection.channel().queue_delete(name)
            connection.channel().exchange_delete(name)


WAYS = pytest.mark.parametrize("way", [by_a_detour, through_an_exchange])


@WAYS
@pytest.mark.usefixtures("tidy")
def test_a_service_gets_nothing_into_the_queues_of_another_by_way_of_the_delays(
    stack: Stack, way: Callable[..., None]
) -> None:
    queue = topology.Queue("booking", "probe", ("booking-requested",))
    make_ready(stack, "booking")
    with amqp_connection(stack.env("availability")) as connection:
        request = amqp.Message(held("b-1", requested()), content_type=codec.STRUCTURED)
        way(connection.channel(), "availability.detour", "delay.1s", queue.name, request)
    with amqp_connection(stack.env("booking")) as connection:
        item = intake.read(intake.raw(arrived(connection.channel(), queue.name)), queue, 100_000)
    assert isinstance(item, intake.Unfit)
    assert item.reason == Reason.WRONG_ROUTE


def held(id: str, data: Any) -> str:
    """An event as it lies in a queue."""
    return codec.encode(codec.event(data, id=id, source="urn:example:shop", time=datetime.now(UTC))).decode()


def state(fact: str, channel: Any) -> None:
    """Say an event."""
    channel.basic_publish_confirm(amqp.Message("{}"), "events", fact)


def refused(stack: Stack, who: str, attempt: Callable[[Any], object]) -> bool:
    """Whether the broker refuses this to the user."""
    with amqp_connection(stack.env(who)) as connection:
        try:
            attempt(connection.channel())
        except AccessRefused:
            return True
    return False


def make_ready(stack: Stack, service: str) -> None:
    """Queues of a service, as the operator could make them."""
    with amqp_connection(stack.env("operator")) as connection:
        topology.Queue(service, "probe", ()).declare(connection.channel())


def test_the_exchanges_are_there_and_durable(stack: Stack) -> None:
    listed = stack.rabbitmqctl("list_exchanges", "-p", "valet", "name", "type", "durable").stdout
    assert {f"{name}\t{kind}\ttrue" for name, kind in topology.EXCHANGES.items()} <= set(listed.splitlines())


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

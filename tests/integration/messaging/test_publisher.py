"""Publishing: confirmed means that the broker has it."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from amqp import Message

from libs.contracts import codec
from libs.messaging import topology
from libs.messaging.errors import BusUnavailable, Unroutable
from libs.messaging.link import Link
from libs.messaging.publisher import Outgoing, Publisher
from tests.integration.messaging.support import Proxy, channel, depth, held, taken, wait_until


def _to(queue: str, body: bytes, mandatory: bool = False) -> Outgoing:
    return Outgoing("", queue, body, codec.STRUCTURED, mandatory=mandatory)


def test_a_thousand_are_confirmed_in_order(link: Link, publisher: Publisher, queue: topology.Queue) -> None:
    # when a flight of a thousand returns
    publisher.publish([_to(queue.name, held(f"n{i}")) for i in range(1000)])
    # then all are in the queue, in order, persistent
    found = taken(link, queue.name)
    assert [bytes(message.body) for message in found] == [held(f"n{i}") for i in range(1000)]
    assert {message.properties["delivery_mode"] for message in found} == {2}


def test_what_reaches_no_queue_is_told(link: Link, publisher: Publisher, queue: topology.Queue) -> None:
    # given one mandatory message in a flight that goes nowhere
    flight = [_to(queue.name, b"a"), _to("no-such-queue", b"b", mandatory=True), _to(queue.name, b"c")]
    # then that is told, and the others have arrived
    with pytest.raises(Unroutable):
        publisher.publish(flight)
    assert [bytes(message.body) for message in taken(link, queue.name)] == [b"a", b"c"]
    # and the next flight is not blamed for it
    publisher.publish([_to(queue.name, b"d")])
    # and what need not arrive is not missed
    publisher.publish([_to("no-such-queue", b"e")])


def test_what_the_broker_refuses_is_told(link: Link, publisher: Publisher, service: str) -> None:
    # given a queue that takes one message and refuses more
    name = f"{service}.work"
    with channel(link) as opened:
        full = {"x-max-length": 1, "x-overflow": "reject-publish"}
        opened.queue_declare(name, durable=True, auto_delete=False, arguments=full)
    publisher.publish([_to(name, b"first")])
    # when another comes
    with pytest.raises(BusUnavailable, match="refused"):
        publisher.publish([_to(name, b"second")])
    # then the refusal is not remembered against the next
    assert [bytes(message.body) for message in taken(link, name)] == [b"first"]
    publisher.publish([_to(name, b"third")])


def test_a_message_over_a_mebibyte_is_refused_by_the_broker(
    link: Link, publisher: Publisher, queue: topology.Queue
) -> None:
    # when one byte too many is sent
    with pytest.raises(BusUnavailable):
        publisher.publish([_to(queue.name, b"x" * (2**20 + 1))])
    # then it has not arrived, and the next flight is not affected
    publisher.publish([_to(queue.name, b"small")])
    assert [bytes(message.body) for message in taken(link, queue.name)] == [b"small"]


def test_an_exchange_that_does_not_exist_is_told(publisher: Publisher, queue: topology.Queue) -> None:
    with pytest.raises(BusUnavailable):
        publisher.publish([Outgoing("no-such-exchange", "x", b"a", codec.STRUCTURED)])
    publisher.publish([_to(queue.name, b"works again")])


def test_a_cut_line_is_told_within_the_time_out(
    through_proxy: Link, proxy: Proxy, queue: topology.Queue, link: Link
) -> None:
    # given an open connection over a network that then swallows everything
    publisher = Publisher(through_proxy, 1)
    publisher.publish([_to(queue.name, b"a")])
    proxy.flowing.clear()
    # when more is published than the line can hold
    started = time.monotonic()
    with pytest.raises(BusUnavailable):
        publisher.publish([_to(queue.name, b"x" * 100_000) for _ in range(200)])
    # then that is known in time
    assert time.monotonic() - started < 2
    # and when the network is back, so is the publisher
    proxy.flowing.set()
    publisher.publish([_to(queue.name, b"z")])
    publisher.close()
    wait_until(lambda: depth(link, queue.name) >= 2)


def test_threads_share_a_publisher(link: Link, publisher: Publisher, queue: topology.Queue) -> None:
    # when twenty threads publish at once
    flights = [[_to(queue.name, b"%d" % (100 * t + i)) for i in range(50)] for t in range(20)]
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(publisher.publish, flights))  # raises what a thread raised
    # then all of it has arrived, once
    assert sorted(int(bytes(m.body)) for m in taken(link, queue.name)) == sorted(
        100 * t + i for t in range(20) for i in range(50)
    )


def test_connections_are_kept_for_the_next(through_proxy: Link, proxy: Proxy, queue: topology.Queue) -> None:
    # given a publisher that is used one flight at a time
    publisher = Publisher(through_proxy, 5)
    for number in range(20):
        publisher.publish([_to(queue.name, b"%d" % number)])
    # then it has opened one connection
    assert proxy.connections == 1
    # and after that one is broken, one more
    proxy.drop()
    wait_until(lambda: _works(publisher, queue))
    assert proxy.connections <= 3
    publisher.close()


def _works(publisher: Publisher, queue: topology.Queue) -> bool:
    try:
        publisher.publish([_to(queue.name, b"again")])
    except BusUnavailable:
        return False
    return True


def test_a_message_carries_what_it_was_given(link: Link, publisher: Publisher, queue: topology.Queue) -> None:
    publisher.publish(
        [
            Outgoing(
                "", queue.name, b"a", "text/plain", {"n": "v"}, message_id="m", correlation_id="c", expiration=60_000
            )
        ]
    )
    (message,) = taken(link, queue.name)
    assert isinstance(message, Message)
    assert message.properties == {
        "content_type": "text/plain",
        "application_headers": {"n": "v", "x-delivery-count": 0},  # the second is the broker's own
        "delivery_mode": 2,
        "message_id": "m",
        "correlation_id": "c",
        "expiration": "60000",
        "user_id": "valet-operator",
    }

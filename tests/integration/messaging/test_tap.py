"""Listening in on events."""

import uuid

import pytest

from libs.contracts import codec
from libs.messaging import topology
from libs.messaging.errors import BusUnavailable, Unroutable
from libs.messaging.link import Link
from libs.messaging.publisher import Outgoing, Publisher
from libs.messaging.tap import Tap
from tests.integration.messaging.support import Proxy, held


def test_it_hears_what_it_asked_for_and_nothing_else(link: Link, publisher: Publisher) -> None:
    # given a tap on one kind of event
    with Tap(link, ("calendar-*", "hold-approved")) as tap:
        # when events of several kinds are published, one of them unreadable
        for key, body in (
            ("hold-approved", held("heard")),
            ("hold-refused", held("not-heard")),
            ("hold-approved", b"{"),
            ("hold-approved", held("heard-too")),
        ):
            publisher.publish([Outgoing(topology.EVENTS, key, body, codec.STRUCTURED)])
        # then it hears those of its kind, in order
        assert [envelope.id for envelope in tap.events(1)] == ["heard", "heard-too"]


def test_its_queue_goes_with_it(link: Link, publisher: Publisher) -> None:
    # given a tap that was closed
    key = f"only-here-{uuid.uuid4().hex}"
    with Tap(link, (key,)):
        pass
    # then its events reach no queue any more
    with pytest.raises(Unroutable):
        publisher.publish([Outgoing(topology.EVENTS, key, held("x"), codec.STRUCTURED, mandatory=True)])


def test_a_lost_connection_is_told(through_proxy: Link, proxy: Proxy) -> None:
    # given a tap whose connection breaks
    with Tap(through_proxy) as tap:
        proxy.drop()
        # then whoever listens learns it
        with pytest.raises(BusUnavailable):
            list(tap.events(5))

"""The relay: what was written is sent at once, what was left behind is swept, nothing is forgotten before it is confirmed."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from libs.config.settings import Settings
from libs.contracts import codec
from libs.messaging import intake, topology
from libs.messaging.errors import BusUnavailable, Unroutable
from libs.messaging.publisher import Outgoing
from libs.messaging.relay import Relay
from libs.messaging.runtime import Runtime
from libs.mongo.errors import StoreUnavailable
from libs.mongo.outbox import Pending
from libs.testing.bus import FlightRecorder
from libs.testing.outbox import MemoryOutbox
from tests.unit.messaging.messages import NOWHERE

OLD = datetime.now(UTC) - timedelta(minutes=5)


def filled(count: int = 3, at: datetime = OLD) -> tuple[MemoryOutbox, dict[str, list[Pending]]]:
    outbox = MemoryOutbox()
    waiting = {f"d{n}": [Pending(f"e{n}", "booking-held", at, f"body {n}".encode())] for n in range(count)}
    for id, (pending,) in waiting.items():
        outbox.put(id, pending)
    return outbox, waiting


class Counting(MemoryOutbox):
    """Keeps what it was asked to clear."""

    def __init__(self) -> None:
        super().__init__()
        self.clears: list[Mapping[str, Sequence[Pending]]] = []

    def clear(self, sent: Mapping[str, Sequence[Pending]]) -> None:
        self.clears.append(sent)
        super().clear(sent)


def left(outbox: MemoryOutbox) -> list[str]:
    return list(outbox.waiting(datetime.now(UTC) + timedelta(days=1), timedelta(0), 10_000))


def test_a_flight_is_sent_at_once_and_forgotten_by_the_next_sweep() -> None:
    outbox, waiting = filled()
    bus = FlightRecorder()
    relay = Relay(outbox, bus)

    assert relay.send(waiting) is True
    (flight,) = bus.flights
    assert [(m.exchange, m.routing_key, m.message_id, m.body, m.content_type) for m in flight] == [
        (topology.EVENTS, "booking-held", f"e{n}", f"body {n}".encode(), codec.STRUCTURED) for n in range(3)
    ]
    assert left(outbox) == ["d0", "d1", "d2"]
    assert relay.sweep(0) == 0
    assert left(outbox) == []
    assert len(bus.sent) == 3


def test_what_is_sent_says_when_so_that_its_wait_in_a_queue_can_be_measured() -> None:
    outbox, waiting = filled(1)
    bus, before = FlightRecorder(), time.time()
    Relay(outbox, bus).send(waiting)

    assert before - 1 <= bus.sent[0].headers[intake.FIRST_SEEN] / 1000 <= time.time()


def test_all_that_was_sent_meanwhile_is_forgotten_in_one_write() -> None:
    # given three flights, two of them about the same document
    outbox, (_, waiting) = Counting(), filled()
    more = Pending("more", "booking-confirmed", OLD, b"body")
    outbox.put("d0", more)
    relay = Relay(outbox, FlightRecorder())
    relay.send({"d0": waiting["d0"]})
    relay.send({"d1": waiting["d1"]})
    relay.send({"d0": [more]})
    # when it clears, twice
    relay.clear()
    relay.clear()
    # then the store was asked once
    assert outbox.clears == [{"d0": [*waiting["d0"], more], "d1": waiting["d1"]}]


@pytest.mark.parametrize("trouble", [BusUnavailable("no confirm in time"), Unroutable("no queue")])
def test_what_is_not_confirmed_is_kept(trouble: BusUnavailable | Unroutable) -> None:
    outbox, waiting = filled()
    bus = FlightRecorder()
    bus.trouble = trouble
    relay = Relay(outbox, bus)

    assert relay.send(waiting) is False
    assert relay.sweep(0) == 0
    assert left(outbox) == ["d0", "d1", "d2"]
    bus.trouble = None
    assert relay.sweep(0) == 3
    assert left(outbox) == []


def test_what_cannot_be_forgotten_yet_is_forgotten_later_and_not_sent_again() -> None:
    outbox, waiting = filled()
    bus = FlightRecorder()
    relay = Relay(outbox, bus)
    relay.send(waiting)
    outbox.away = True
    assert relay.clear() is False
    outbox.away = False

    assert relay.sweep(0) == 0
    assert left(outbox) == []
    assert len(bus.sent) == 3


def test_what_was_sent_by_one_who_died_before_it_was_forgotten_is_sent_again() -> None:
    outbox, waiting = filled()
    bus = FlightRecorder()
    Relay(outbox, bus).send(waiting)

    assert Relay(outbox, bus).sweep(0) == 3
    assert [m.message_id for m in bus.sent] == ["e0", "e1", "e2"] * 2


def test_the_sweep_leaves_what_is_young() -> None:
    outbox, _ = filled(at=datetime.now(UTC) - timedelta(seconds=3))
    bus = FlightRecorder()

    assert Relay(outbox, bus).sweep(10) == 0
    assert Relay(outbox, bus).sweep(2) == 3


def of_others(outbox: MemoryOutbox, seconds: float) -> None:
    """An event of another replica, so old."""
    outbox.put("theirs", Pending("theirs", "booking-held", datetime.now(UTC) - timedelta(seconds=seconds), b"body"))


def slow(seconds: float = 20) -> tuple[MemoryOutbox, FlightRecorder, Relay]:
    """A replica whose own events take so long at present."""
    outbox, waiting = filled(at=datetime.now(UTC) - timedelta(seconds=seconds))
    bus = FlightRecorder()
    relay = Relay(outbox, bus)
    relay.send(waiting)
    relay.clear()
    return outbox, bus, relay


def test_when_events_take_long_those_of_others_are_let_be_for_some_times_as_long() -> None:
    outbox, bus, relay = slow(10)
    of_others(outbox, seconds=20)

    assert relay.sweep(5) == 0
    of_others(outbox, seconds=40)
    assert relay.sweep(5) == 1
    assert bus.sent[-1].message_id == "theirs"


def test_however_long_events_take_nothing_is_let_be_for_more_than_a_minute() -> None:
    outbox, _, relay = slow(600)
    of_others(outbox, seconds=61)

    assert relay.sweep(5) == 1


def test_events_that_are_under_way_at_this_moment_say_how_long_it_takes() -> None:
    # given a flight that has been under way for long
    outbox, waiting = filled(at=datetime.now(UTC) - timedelta(seconds=10))
    of_others(outbox, seconds=20)
    found: list[int] = []

    class Slow(FlightRecorder):
        def publish(self, messages: Sequence[Outgoing]) -> None:
            if not found:
                found.append(relay.sweep(5))  # when it sweeps meanwhile
            super().publish(messages)

    relay = Relay(outbox, Slow())
    relay.send(waiting)
    # then what another may still have in hand was let be
    assert found == [0]


def test_what_this_replica_knows_to_be_left_does_not_wait_for_that() -> None:
    outbox, bus, relay = slow()
    own = Pending("own", "booking-held", datetime.now(UTC) - timedelta(seconds=6), b"body")
    outbox.put("own", own)
    bus.trouble = BusUnavailable("no confirm in time")
    assert relay.send({"own": [own]}) is False
    bus.trouble = None

    assert relay.sweep(5) == 1


def test_once_events_are_quick_again_what_is_left_is_soon_swept() -> None:
    outbox, _, relay = slow()
    of_others(outbox, seconds=10)

    looks = next(look for look in range(100) if relay.sweep(5))

    assert 10 < looks < 60


def test_how_old_it_was_that_was_swept_does_not_count() -> None:
    outbox, _ = filled()
    relay = Relay(outbox, FlightRecorder())
    assert relay.sweep(5) == 3
    of_others(outbox, seconds=6)

    assert relay.sweep(5) == 1


def test_nor_does_it_when_it_could_not_be_cleared_at_once() -> None:
    class Failing(Counting):
        def clear(self, sent: Mapping[str, Sequence[Pending]]) -> None:
            super().clear(sent)
            if len(self.clears) == 1:
                raise StoreUnavailable

    outbox = Failing()
    outbox.put("left", Pending("left", "booking-held", OLD, b"body"))
    relay = Relay(outbox, FlightRecorder())
    assert relay.sweep(5) == 0
    of_others(outbox, seconds=6)

    assert relay.sweep(5) == 1


def test_the_sweep_goes_on_until_nothing_is_left() -> None:
    outbox, _ = filled(1203)
    bus = FlightRecorder()

    assert Relay(outbox, bus).sweep(0) == 1203
    assert left(outbox) == []


def test_what_still_shows_after_it_was_cleared_is_not_sent_twice() -> None:
    # Clearing is not waited for by a majority, so a majority read may show it for a while.
    outbox, waiting = filled()
    outbox.clear = lambda sent: None  # type: ignore[method-assign]  # as if it did not show yet
    bus = FlightRecorder()

    assert Relay(outbox, bus).sweep(0) == 3
    assert len(bus.sent) == len(waiting)


def test_without_the_store_the_sweep_waits_for_the_next_time() -> None:
    outbox, _ = filled()
    outbox.away = True

    assert Relay(outbox, FlightRecorder()).sweep(0) == 0


def test_nothing_to_send_disturbs_nobody() -> None:
    outbox, bus = MemoryOutbox(), FlightRecorder()
    outbox.away = True
    bus.trouble = BusUnavailable("gone")

    assert Relay(outbox, bus).send({}) is True


def test_a_service_that_stops_forgets_what_it_sent() -> None:
    # given a service with two outboxes from which all was sent
    outboxes = [filled(1), filled(1)]
    runtime = Runtime("booking", Settings(amqp_url=NOWHERE))
    runtime.relays += [Relay(outbox, FlightRecorder()) for outbox, _ in outboxes]
    for relay, (_, waiting) in zip(runtime.relays, outboxes, strict=True):
        relay.send(waiting)
    # when it stops
    runtime.close()
    # then nothing is left for the next one to send again
    assert [left(outbox) for outbox, _ in outboxes] == [[], []]

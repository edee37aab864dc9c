"""One consumer: batches of what is there, several at once, acknowledged after their effect, neighbours left alone."""

import threading
import time
from collections.abc import Callable, Sequence

import pytest
from kombu import Connection

from libs.config.settings import Settings
from libs.contracts import codec
from libs.messaging import session, topology
from libs.messaging.consumer import PATIENCE
from libs.messaging.delivery import DONE, Outcome
from libs.messaging.link import Link
from tests.integration.messaging.conftest import Listen
from tests.integration.messaging.support import Gate, Item, Proxy, Seen, channel, depth, flood, held, post, wait_until


def test_one_message_is_a_batch_at_once(link: Link, queue: topology.Queue, listen: Listen) -> None:
    # given a consumer that has nothing to do
    seen = Seen()
    listen(seen, batch=50)
    time.sleep(0.2)
    # when one message comes
    started = time.monotonic()
    post(link, queue.name, [held("one")])
    wait_until(lambda: seen.batches)
    # then it is handled alone, without waiting for more to come
    assert [len(batch) for batch in seen.batches] == [1]
    assert seen.times[0] - started < 0.5


def test_a_backlog_is_taken_in_full_batches(link: Link, queue: topology.Queue, listen: Listen) -> None:
    # given many messages that wait
    flood(link, queue.name, [held(f"n{i}") for i in range(500)])
    seen = Seen()
    # when a consumer comes
    listen(seen, batch=50)
    wait_until(lambda: len(seen.ids) >= 500)
    # then it takes up to 50 at once, and every message exactly once
    assert max(len(batch) for batch in seen.batches) == 50
    assert sorted(seen.ids) == sorted(f"n{i}" for i in range(500))


def test_several_batches_are_in_flight(link: Link, queue: topology.Queue, listen: Listen) -> None:
    # given handlers that go on once three of them are at work at the same time
    at_work, together = [0, 0], threading.Event()

    def meet(items: Sequence[Item]) -> Sequence[Outcome]:
        at_work[0] += 1
        at_work[1] = max(at_work)
        if at_work[0] == 3:
            time.sleep(0.3)  # a fourth would show itself now
            together.set()
        together.wait(5)
        at_work[0] -= 1
        return [DONE] * len(items)

    flood(link, queue.name, [held(f"n{i}") for i in range(60)])
    # when they are consumed three batches at a time
    listening = listen(meet, batch=10, in_flight=3)
    # then three meet, and never more
    assert together.wait(5)
    wait_until(lambda: depth(link, queue.name) == 0)
    assert listening.stop(5)
    assert at_work[1] == 3
    assert depth(link, queue.name) == 0


def test_a_few_wait_a_moment_while_others_are_at_work(link: Link, queue: topology.Queue, listen: Listen) -> None:
    # given a handler that has one message in hand for as long as it takes
    began, go_on = list[float](), threading.Event()

    def work(items: Sequence[Item]) -> Sequence[Outcome]:
        began.append(time.monotonic())
        go_on.wait(5)
        return [DONE] * len(items)

    listen(work, batch=50, in_flight=3)
    post(link, queue.name, [held("first")])
    wait_until(lambda: began)
    # when a second comes
    post(link, queue.name, [held("second")])
    wait_until(lambda: len(began) == 2)
    go_on.set()
    # then it waits for company, but not for the first to end
    assert began[1] - began[0] >= PATIENCE / 2  # it has waited since its handler was called, which is a little earlier


def test_where_nobody_waits_the_first_wait_for_company(link: Link, queue: topology.Queue, listen: Listen) -> None:
    # given a consumer that has nothing to do, and time
    seen = Seen()
    listen(seen, batch=40, gather=0.6)
    post(link, queue.name, [held("known")])
    wait_until(lambda: seen.batches)
    # when a few come one after the other
    started = time.monotonic()
    for name in ("one", "two", "three"):
        post(link, queue.name, [held(name)])
    wait_until(lambda: len(seen.batches) == 2)
    # then they are handled together, when the first has waited long enough
    assert seen.ids[1:] == ["one", "two", "three"]
    assert seen.times[1] - started >= 0.6
    # when many come, then they begin at once
    started = time.monotonic()
    flood(link, queue.name, [held(f"n{i}") for i in range(40)])
    wait_until(lambda: len(seen.batches) > 2)
    assert seen.times[2] - started < 0.6


def test_nothing_is_acknowledged_before_the_handler_has_answered(
    link: Link, queue: topology.Queue, listen: Listen
) -> None:
    # given a handler that is in the middle of its work
    begun, go_on = threading.Event(), threading.Event()

    def wait(items: Sequence[Item]) -> Sequence[Outcome]:
        begun.set()
        go_on.wait(10)
        return [DONE] * len(items)

    post(link, queue.name, [held("one")])
    listening = listen(wait)
    assert begun.wait(5)
    # when the consumer ends without waiting for it
    listening.stop(0)
    # then the message is back in the queue
    wait_until(lambda: depth(link, queue.name) == 1)
    go_on.set()


def test_one_bad_item_leaves_its_neighbours_alone(link: Link, queue: topology.Queue, listen: Listen) -> None:
    # given a handler that raises whenever a certain event is among its batch
    done: list[str] = []

    def handle(items: Sequence[Item]) -> Sequence[Outcome]:
        if any(item.id == "bad" and item.attempt == 1 for item in items):
            raise ValueError
        done.extend(item.id for item in items)
        return [DONE] * len(items)

    flood(link, queue.name, [held(i) for i in ("a", "b", "bad", "c", "d")])
    # when the batch is handled
    started = time.monotonic()
    listen(handle)
    wait_until(lambda: len(done) >= 4)
    # then the neighbours are done at once, and once; the bad one comes back later
    assert sorted(done) == ["a", "b", "c", "d"]
    assert time.monotonic() - started < 0.45
    wait_until(lambda: "bad" in done, 3)


def test_a_slow_batch_does_not_hold_up_the_others(link: Link, queue: topology.Queue, listen: Listen) -> None:
    # given a batch whose handler takes long
    go_on = threading.Event()
    done: list[str] = []

    def handle(items: Sequence[Item]) -> Sequence[Outcome]:
        if items[0].id == "slow":
            go_on.wait(20)
        done.extend(item.id for item in items)
        return [DONE] * len(items)

    post(link, queue.name, [held("slow")])
    listen(handle, batch=1, in_flight=3)
    time.sleep(0.2)
    # when many more messages than the prefetch come
    flood(link, queue.name, [held(f"n{i}") for i in range(60)])
    # then they are all handled while the slow one is still at work
    wait_until(lambda: len(done) >= 60, 5, "the others are held up")
    assert "slow" not in done
    go_on.set()
    wait_until(lambda: "slow" in done)


def test_events_with_the_same_data_are_different_events(link: Link, queue: topology.Queue, listen: Listen) -> None:
    # given two events in binary mode: the same data, but each its own id in the headers
    data = b'{"booking":"bk_aaaaaaaaaaaaaaaaaaaaaaaaaa","version":1,"host":"dr-example",' + (
        b'"start":"2031-03-04T15:00:00Z","end":"2031-03-04T15:30:00Z"}'
    )
    seen = Gate()
    listening = listen(seen, in_flight=1)
    post(link, queue.name, [held("gate")])
    for id in ("first", "second"):
        headers = {"ce-specversion": "1.0", "ce-id": id, "ce-source": "/tests", "ce-type": "booking-held"}
        post(link, queue.name, [data], content_type=codec.JSON, application_headers=headers)
    # when both are in one batch
    time.sleep(0.3)
    seen.open()
    # then both are handled
    wait_until(lambda: len(seen.ids) >= 3, 3, "an event was taken for another one")
    assert [[item.id for item in batch] for batch in seen.batches] == [["gate"], ["first", "second"]]
    assert listening.stop(3)
    assert depth(link, queue.name) == 0


def test_the_same_message_twice_in_a_batch_is_handled_once(link: Link, queue: topology.Queue, listen: Listen) -> None:
    # given the same event twice, as a publisher that saw no confirm sends it
    seen = Gate()
    listening = listen(seen, in_flight=1)
    post(link, queue.name, [held("gate"), held("same"), held("same"), held("other")])
    time.sleep(0.3)
    # when they are in one batch
    seen.open()
    wait_until(lambda: len(seen.ids) >= 3)
    # then it is handled once, and both copies are acknowledged
    assert listening.stop(3)
    assert [[item.id for item in batch] for batch in seen.batches] == [["gate"], ["same", "other"]]
    assert depth(link, queue.name) == 0


def test_a_deleted_queue_is_declared_and_consumed_again(link: Link, queue: topology.Queue, listen: Listen) -> None:
    # given a consumer at work
    seen = Seen()
    listening = listen(seen)
    # when somebody deletes its queue
    with channel(link) as opened:
        opened.queue_delete(queue.name)
        # then it makes the queue anew, bindings included, and consumes it
        wait_until(lambda: listening.consumer.up and _stands(link, queue.name), 10)
        opened.queue_unbind(queue.name, topology.EVENTS, "booking-requested")
    flood(link, queue.name, [held("after")])
    wait_until(lambda: seen.ids == ["after"])


def test_a_connection_cut_in_mid_flight_is_replaced(
    link: Link, through_proxy: Link, proxy: Proxy, queue: topology.Queue, listen: Listen
) -> None:
    # given a consumer with work in hand
    go_on = threading.Event()
    seen = Seen(lambda items: [DONE for _ in items if go_on.wait(10)])
    listening = listen(seen, link=through_proxy)
    post(link, queue.name, [held("one")])
    wait_until(lambda: seen.ids)
    # when its connection breaks before it could acknowledge
    proxy.drop()
    wait_until(lambda: not listening.consumer.up)
    go_on.set()
    # then it connects again, and the message comes again
    wait_until(lambda: seen.ids.count("one") == 2, 10)
    assert {item.attempt for batch in seen.batches for item in batch} == {1}


def test_what_was_begun_is_finished_and_the_rest_goes_back(link: Link, queue: topology.Queue, listen: Listen) -> None:
    # given a batch in work and more messages already delivered behind it
    flood(link, queue.name, [held(f"n{i}") for i in range(40)])
    begun, go_on = threading.Event(), threading.Event()

    def handle(items: Sequence[Item]) -> Sequence[Outcome]:
        begun.set()
        go_on.wait(10)
        return [DONE] * len(items)

    seen = Seen(handle)
    listening = listen(seen, batch=10, in_flight=1)
    assert begun.wait(5)
    # when it is asked to stop, and the handler ends a little later
    threading.Timer(0.5, go_on.set).start()
    # then it waits for the handler; what it handled is gone, all else is back, nothing is in both
    assert listening.stop(5)
    wait_until(lambda: depth(link, queue.name) == 40 - len(seen.ids), 5, "the rest did not go back")


def test_stop_says_when_work_was_left_undone(link: Link, queue: topology.Queue, listen: Listen) -> None:
    # given a handler that does not end
    begun, go_on = threading.Event(), threading.Event()

    def handle(items: Sequence[Item]) -> Sequence[Outcome]:
        begun.set()
        go_on.wait(10)
        return [DONE] * len(items)

    listening = listen(handle)
    post(link, queue.name, [held("one")])
    assert begun.wait(5)
    # when it is asked to stop within half a second
    started = time.monotonic()
    drained = listening.stop(0.5)
    # then it says that it did not drain, in time
    assert not drained
    assert time.monotonic() - started < 3
    go_on.set()


def _stands(link: Link, queue: str) -> bool:
    try:
        depth(link, queue)
    except Exception:  # noqa: BLE001 - NotFound, in whatever form py-amqp says it
        return False
    return True


class Impatient(Link):
    """A way to the bus that beats once a second, so that a silence is noticed soon."""

    def open(self, heartbeat: int = 1, within: float | None = None) -> Connection:
        return super().open(heartbeat, within)


def test_large_messages_are_taken_by_weight(
    operator: Settings, link: Link, queue: topology.Queue, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a handler that takes longer than two heartbeats, and a backlog that weighs much more than may be in hand
    monkeypatch.setattr(session, "MOST_BYTES", 1_000_000)
    made: list[session.Session] = []
    monkeypatch.setattr(session.Session, "begin", _noted(session.Session.begin, made))
    seen = Gate()
    flood(link, queue.name, [held(f"n{i}") + b" " * 200_000 for i in range(60)])
    # when it is consumed
    listen(seen, batch=2, in_flight=20, link=Impatient(operator, "tests-heavy"))
    wait_until(lambda: made and made[-1].heavy, 10)
    heaviest, until = 0, time.monotonic() + 3.5
    while time.monotonic() < until:
        heaviest = max(heaviest, made[-1]._bytes)
        time.sleep(0.05)
    # then no more is read than fits, over the one connection
    assert 1_000_000 <= heaviest <= 1_000_000 + 250_000
    assert len(made) == 1
    # and all of it is handled in the end, once
    seen.open()
    wait_until(lambda: len(seen.ids) >= 60, 20)
    assert sorted(seen.ids) == sorted(f"n{i}" for i in range(60))
    wait_until(lambda: made[-1]._bytes == 0)
    assert len(made) == 1


def _noted(begin: Callable[[session.Session], None], made: list[session.Session]) -> Callable[[session.Session], None]:
    def noted(one: session.Session) -> None:
        made.append(one)
        begin(one)

    return noted

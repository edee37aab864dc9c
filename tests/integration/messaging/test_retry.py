"""What is put off comes back by itself, when it should and as it was; and is given up in the end."""

import json
import random
import time
from collections.abc import Sequence

import pytest

from libs.contracts import codec
from libs.contracts.reasons import Reason
from libs.crypto.letters import LetterSeal
from libs.messaging import intake, topology, waiting, work
from libs.messaging.delivery import DONE, Retry
from libs.messaging.errors import BusUnavailable
from libs.messaging.link import Link
from libs.messaging.publisher import Outgoing, Publisher
from libs.messaging.retry import RetryPolicy
from libs.messaging.work import Rules
from libs.testing.events import CANARIES, requested
from libs.testing.keys import keyring
from libs.testing.leaks import leaks
from tests.integration.messaging.conftest import Listen
from tests.integration.messaging.support import (
    BOOKING,
    Seen,
    await_letters,
    depth,
    flood,
    held,
    letters,
    post,
    taken,
    wait_until,
)
from tests.unit.messaging.messages import structured

ONE_SECOND = topology.LADDER[0]
SEAL = LetterSeal(keyring())


def test_it_comes_back_after_the_delay_as_it_was(link: Link, queue: topology.Queue, listen: Listen) -> None:
    # given a handler that cannot do it the first two times
    seen = Seen(lambda items: [DONE if i.attempt == 3 else Retry(Reason.STORE_UNAVAILABLE) for i in items])
    policy = RetryPolicy(rungs=(ONE_SECOND,))
    listen(seen, Rules(policy))
    # when an event comes
    before = time.time()
    post(link, queue.name, [held("again", host="dr-long-name")])
    wait_until(lambda: len(seen.batches) == 3, 8)
    # then it is tried again, each time between half the delay and the delay later, counted, and the same
    items = [batch[0] for batch in seen.batches]
    assert [item.attempt for item in items] == [1, 2, 3]
    assert {(item.id, item.source, item.type, item.data) for item in items} == {
        (items[0].id, items[0].source, items[0].type, items[0].data)
    }
    waits = [after - first for first, after in zip(seen.times, seen.times[1:], strict=False)]
    assert all(0.45 <= wait <= 1.6 for wait in waits), waits
    # and Valet remembers when it first saw it
    assert abs(items[1].first_seen.timestamp() - before) < 1
    assert items[1].first_seen == items[2].first_seen
    assert depth(link, queue.name) == 0


def test_body_and_content_type_are_untouched_in_both_modes(link: Link, queue: topology.Queue, listen: Listen) -> None:
    # given an event in binary mode, whose attributes stand in the headers
    data = b'{"booking":"bk_aaaaaaaaaaaaaaaaaaaaaaaaaa","version":1,"host":"dr-example",' + (
        b'"start":"2031-03-04T15:00:00Z","end":"2031-03-04T15:30:00Z"}'
    )
    headers = {"ce-specversion": "1.0", "ce-id": "b", "ce-source": "/tests", "ce-type": "booking-held"}
    listening = listen(lambda items: [Retry(Reason.STORE_UNAVAILABLE)] * len(items))
    # when each is put off and nobody consumes any more
    post(link, queue.name, [data], content_type="application/json; charset=utf-8", application_headers=headers)
    post(link, queue.name, [held("s")])
    time.sleep(0.4)
    assert listening.stop(3)
    wait_until(lambda: depth(link, queue.name) == 2, 4)
    # then what comes back is byte for byte what was sent
    back = {bytes(m.body): m.properties for m in taken(link, queue.name)}
    assert set(back) == {data, held("s")}
    assert back[data]["content_type"] == "application/json; charset=utf-8"
    assert headers.items() <= back[data]["application_headers"].items()
    assert back[held("s")]["content_type"] == codec.STRUCTURED
    assert all(properties["delivery_mode"] == 2 for properties in back.values())


def test_a_request_waits_sealed_and_comes_back_as_it_was(link: Link, queue: topology.Queue, listen: Listen) -> None:
    # given a request in the clear that cannot be handled now
    body = structured(id="r-1")
    putting_off = listen(lambda items: [Retry(Reason.STORE_UNAVAILABLE)] * len(items), Rules(sealer=lambda: SEAL))
    post(link, queue.name, [body])
    wait_until(lambda: sum(depth(link, rung.queue) for rung in topology.LADDER), 10)
    assert putting_off.stop(5)
    wait_until(lambda: depth(link, queue.name) == 1, 10)
    # when it is back from its delay, then what lay there cannot be read
    (waited,) = taken(link, queue.name)
    assert waited.properties["content_type"] == waiting.CONTENT_TYPE
    assert not leaks(f"{waited.body!r} {waited.properties}", CANARIES)
    # and its own service reads it as it was sent
    seen = Seen()
    listen(seen, Rules(sealer=lambda: SEAL))
    headers = waited.properties["application_headers"]
    kept = {intake.ATTEMPT: headers[intake.ATTEMPT], intake.FIRST_SEEN: headers[intake.FIRST_SEEN]}
    post(link, queue.name, [bytes(waited.body)], content_type=waiting.CONTENT_TYPE, application_headers=kept)
    wait_until(lambda: seen.ids == ["r-1"], 10)
    (item,) = seen.batches[0]
    assert (item.data, item.attempt) == (requested(), headers[intake.ATTEMPT])


def test_those_that_failed_together_come_back_spread(link: Link, queue: topology.Queue, listen: Listen) -> None:
    # given many events that fail at the same moment
    random.seed(7)
    seen = Seen(lambda items: [DONE if i.attempt > 1 else Retry(Reason.STORE_UNAVAILABLE) for i in items])
    flood(link, queue.name, [held(f"n{i}") for i in range(60)])
    # when they come back
    listen(seen, batch=60)
    wait_until(lambda: len(seen.ids) >= 120, 6)
    # then not all at once
    back = [at for at, batch in zip(seen.times, seen.batches, strict=True) if batch[0].attempt == 2]
    assert len(back) > 2
    assert max(back) - min(back) > 0.1


def test_a_provider_that_says_when_is_obeyed(link: Link, queue: topology.Queue, listen: Listen) -> None:
    # given a handler that is told "not before 3 seconds"
    seen = Seen(lambda items: [DONE if i.attempt > 1 else Retry(Reason.RATE_LIMITED, after=3) for i in items])
    listen(seen)
    # when an event meets that
    post(link, queue.name, [held("later")])
    # then it waits at least so long, although the first step of the ladder is shorter
    wait_until(lambda: len(seen.batches) == 2, 8)
    assert 3 <= seen.times[1] - seen.times[0] <= 6


def test_when_the_attempts_are_used_up_it_is_a_dead_letter(
    link: Link, queue: topology.Queue, service: str, listen: Listen
) -> None:
    # given a policy of two attempts
    seen = Seen(lambda items: [Retry(Reason.STORE_UNAVAILABLE)] * len(items))
    listen(seen, Rules(RetryPolicy(rungs=(ONE_SECOND,), attempts=2)))
    # when an event fails each time
    post(link, queue.name, [held("hopeless")])
    ((letter, _),) = await_letters(link, service, 1)
    # then it was tried twice and lies with the dead letters, to be replayed as it was
    assert len(seen.batches) == 2
    assert (letter.reason, letter.attempts, letter.id, letter.queue) == (
        "attempts-exhausted",
        2,
        "hopeless",
        queue.name,
    )
    assert letter.body is not None
    assert json.loads(letter.body) == json.loads(held("hopeless")) | {"subject": BOOKING}
    assert depth(link, queue.name) == 0


def test_headers_that_a_stranger_made_up_do_no_harm(
    link: Link, queue: topology.Queue, service: str, listen: Listen
) -> None:
    # given messages with our own headers set to what breaks arithmetic, and headers of odd kinds
    odd: list[dict[str, object]] = [
        {"x-valet-first-seen": 2**62},
        {"x-valet-attempt": 2**63 - 1},
        {"x-valet-attempt": -5, "x-valet-first-seen": "yesterday"},
        {"x-delivery-count": 99},
        {"note": ["a", {"b": 1.5}], "when": None, "yes": True, "x" * 120: "y"},
    ]
    seen = Seen(lambda items: [DONE if i.attempt in (2, 3) else Retry(Reason.STORE_UNAVAILABLE) for i in items])
    for number, headers in enumerate(odd):
        post(link, queue.name, [held(f"odd{number}")], application_headers=headers)
    post(link, queue.name, [held("neighbour")])
    # when they are handled, and put off once
    listening = listen(seen)
    consumed = listening.consumer
    # then the consumer stays connected and the neighbour is served like any other
    wait_until(lambda: seen.ids.count("neighbour") == 2, 6, "the neighbour is held up")
    assert consumed.up
    assert len([batch for batch in seen.batches if "neighbour" in [item.id for item in batch]]) == 2
    assert depth(link, queue.name) == 0


def test_without_the_buss_confirm_nothing_is_given_up(
    link: Link, queue: topology.Queue, service: str, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given that events arrive but nothing can be published, as under the broker's memory or disk alarm
    monkeypatch.setattr(work, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(work, "LONGEST_PAUSE", 0.05)
    alarm = Alarmed(link)
    seen = Seen(lambda items: [DONE if not alarm.on else Retry(Reason.STORE_UNAVAILABLE) for _ in items])
    listen(seen, publisher=alarm)
    # when an event has to be put off, for a long time
    post(link, queue.name, [held("patient")])
    wait_until(lambda: alarm.tries > 24, 30)
    alarm.on = False
    # then it is handled in the end, and not given up
    wait_until(lambda: "patient" in seen.ids and depth(link, queue.name) == 0, 10)
    time.sleep(1.2)
    assert letters(link, service) == []


class Alarmed(Publisher):
    """A way to publish that the broker does not confirm while the alarm is on."""

    def __init__(self, link: Link) -> None:
        super().__init__(link, 5)
        self.on = True
        self.tries = 0

    def publish(self, messages: Sequence[Outgoing]) -> None:
        if self.on and messages:
            self.tries += 1
            raise BusUnavailable("no confirm in time")
        super().publish(messages)

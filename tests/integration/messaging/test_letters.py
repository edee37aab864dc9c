"""An operator looks at dead letters, puts them back or drops them; whatever happens meanwhile, none is lost."""

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from amqp import Message

from libs.contracts.reasons import Reason
from libs.crypto.letters import LetterSeal
from libs.messaging import dead, topology
from libs.messaging import letters as module
from libs.messaging.delivery import DONE, Outcome, Poison
from libs.messaging.errors import BusUnavailable
from libs.messaging.letters import Found, Letters, waiting
from libs.messaging.link import Link
from libs.messaging.publisher import Outgoing, Publisher
from libs.messaging.work import Rules
from libs.mongo.errors import StoreUnavailable
from libs.testing.keys import keyring
from tests.integration.messaging.conftest import Listen
from tests.integration.messaging.support import Proxy, Seen, channel, depth, held, post, wait_until
from tests.integration.messaging.test_dead_letters import PERSON, _request

SEAL = LetterSeal(keyring())
MOST = 100


@pytest.fixture
def letters(link: Link, publisher: Publisher, service: str) -> Letters:
    return Letters(link, publisher, [service])


@pytest.fixture
def put(publisher: Publisher, queue: topology.Queue) -> Callable[..., None]:
    """Put letters of these names into the queue of dead letters."""
    clock = itertools.count(1)

    def put_(*names: str, **given: Any) -> None:
        fields: dict[str, Any] = {
            "queue": queue.name,
            "reason": "foreign-entry",
            "attempts": 3,
            "size": 9,
        } | given
        made = [dead.DeadLetter(letter=name, body=held(name).decode(), at=next(clock), **fields) for name in names]
        publisher.publish([dead.outgoing(one, queue.service) for one in made])

    return put_


def names(found: Iterator[Found] | Any) -> list[str]:
    return [one.name for one in found]


def among(*wanted: str) -> Callable[[Found], bool]:
    return lambda one: one.name in wanted


def test_looking_neither_loses_nor_reorders(
    letters: Letters, put: Callable[..., None], link: Link, service: str
) -> None:
    # given some letters
    put("a", "b", "c")
    # when they are looked at far more often than RabbitMQ 4 lets a message come back by itself
    for _ in range(30):
        assert names(letters.look(MOST).letters) == ["a", "b", "c"]
    # then all are there, in their order
    assert depth(link, topology.dead_queue(service)) == 3
    assert letters.look(2).more == 1
    assert names(letters.look(2).letters) == ["a", "b"]


def test_a_look_that_dies_half_way_gives_all_back(
    through_proxy: Link, proxy: Proxy, letters: Letters, put: Callable[..., None], service: str, publisher: Publisher
) -> None:
    # given a command whose connection ends while it has letters in hand
    put("a", "b", "c")
    doomed = Letters(through_proxy, publisher, [service]).drop(lambda _: True)
    assert next(doomed).name == "a"
    proxy.drop()
    with pytest.raises(BusUnavailable):
        list(doomed)
    # then what it had not finished with lies there as before
    wait_until(lambda: {"b", "c"} <= set(names(letters.look(MOST).letters)))
    assert names(letters.look(MOST).letters)[-2:] == ["b", "c"]


def test_only_the_named_are_put_back(
    letters: Letters, put: Callable[..., None], listen: Listen, link: Link, service: str, queue: topology.Queue
) -> None:
    # given letters, and others that come while some are being put back
    put("a", "b", "c")
    seen = Seen()
    listening = listen(seen)
    replaying = letters.replay(among("a", "c"))
    first = next(replaying)
    put("d")
    # then the named are handled, in a first attempt, and no others
    assert [(one.name, why) for one, why in itertools.chain([first], replaying)] == [("a", None), ("c", None)]
    wait_until(lambda: sorted(seen.ids) == ["a", "c"])
    assert {item.attempt for batch in seen.batches for item in batch} == {1}
    assert names(letters.look(MOST).letters) == ["b", "d"]
    assert listening.stop(5)


def test_what_fails_again_is_a_new_letter_and_is_not_put_back_twice(
    letters: Letters, put: Callable[..., None], listen: Listen
) -> None:
    # given messages that nobody can handle
    put(*"abc")
    seen = Seen(lambda items: [Poison(Reason.FOREIGN_ENTRY)] * len(items))
    listen(seen)
    # when all are put back
    done = list(letters.replay(lambda _: True))
    # then each is tried once, and waits again under a new name
    assert len(done) == 3
    wait_until(lambda: len(letters.look(MOST).letters) == 3)
    assert sorted(seen.ids) == ["a", "b", "c"]
    assert not {"a", "b", "c"} & set(names(letters.look(MOST).letters))


@pytest.mark.parametrize("binary", [False, True], ids=["structured", "binary"])
def test_a_sealed_request_is_opened_by_its_own_service(
    letters: Letters, listen: Listen, link: Link, queue: topology.Queue, binary: bool
) -> None:
    # given a request with a person in it, that was given up once
    outcomes: list[Outcome] = [Poison(Reason.FOREIGN_ENTRY), DONE]
    seen = Seen(lambda items: [outcomes[min(len(seen.batches), 2) - 1]] * len(items))
    listen(seen, Rules(sealer=lambda: SEAL))
    if binary:
        headers = {"ce-specversion": "1.0", "ce-id": "r-1", "ce-source": "/shop", "ce-type": "booking-requested"}
        data = b'{"host":"dr-example","start":"2031-03-04T15:00:00Z","end":"2031-03-04T15:30:00Z","sealed":"x"}'
        post(link, queue.name, [data], content_type="application/json", application_headers=headers)
    else:
        post(link, queue.name, [_request()])
    wait_until(lambda: len(letters.look(MOST).letters) == 1)
    # when it is put back
    ((found, why),) = letters.replay(lambda _: True)
    # then its service has it again as it was, and nothing else could read it on the way
    assert why is None
    assert found.letter is not None
    assert b"Ada" not in (dead.again(found.letter) or Outgoing("", "", PERSON, "")).body
    wait_until(lambda: len(seen.ids) == 2)
    first, second = (batch[0] for batch in seen.batches)
    assert (first.id, first.source, first.data) == (second.id, second.source, second.data)
    assert second.attempt == 1
    assert letters.look(MOST).letters == []


def test_what_another_service_sealed_stays_a_letter(
    letters: Letters, listen: Listen, link: Link, queue: topology.Queue
) -> None:
    # given a request that was sealed with keys that are gone
    keys: list[Any] = [LetterSeal(keyring(index=b"other".ljust(32))), SEAL]
    seen = Seen(lambda items: [Poison(Reason.FOREIGN_ENTRY)] * len(items))
    listen(seen, Rules(sealer=lambda: keys[0]))
    post(link, queue.name, [_request()])
    wait_until(lambda: len(letters.look(MOST).letters) == 1)
    (before,) = letters.look(MOST).letters
    keys.pop(0)
    # when it is put back
    list(letters.replay(lambda _: True))
    wait_until(lambda: names(letters.look(MOST).letters) not in ([], [before.name]))
    # then it is a letter again, that says so and has lost nothing
    (after,) = letters.look(MOST).letters
    assert before.letter is not None
    assert after.letter is not None
    assert after.reason == "seal-unreadable"
    assert (after.letter.sealed, after.letter.id) == (before.letter.sealed, "r-1")
    assert len(seen.ids) == 1


def test_what_cannot_be_put_back_stays_and_says_why(
    letters: Letters, put: Callable[..., None], publisher: Publisher, queue: topology.Queue
) -> None:
    # given a letter of a queue that is gone, one of another service's, one without content, and what is no letter
    put("gone", queue=f"{queue.service}.gone")
    put("theirs", queue="booking.hold-bookings")
    bare = dead.DeadLetter(queue=queue.name, reason="too-large", attempts=1, at=1, size=2**20, letter="bare")
    publisher.publish([dead.outgoing(bare, queue.service)])
    publisher.publish([Outgoing(topology.LETTERS, queue.service, b"\xffnonsense", "text/plain")])
    # when all are put back
    done = {one.name: why for one, why in letters.replay(lambda _: True)}
    # then each says why it cannot be, and lies there still
    assert len(done) == 4
    assert all(done.values())
    assert "no queue" in str(done["gone"])
    assert "another service" in str(done["theirs"])
    assert "not kept" in str(done["bare"])
    assert len(letters.look(MOST).letters) == 4
    # and can be dropped
    assert names(letters.drop(among("gone"))) == ["gone"]
    assert len(letters.look(MOST).letters) == 3


def test_what_the_broker_gives_up_is_sealed_by_its_service(
    link: Link,
    queue: topology.Queue,
    service: str,
    letters: Letters,
    publisher: Publisher,
    run_rescue: Callable[..., None],
) -> None:
    # given a request that was returned more often than the broker allows, so that nobody's code has seen it
    post(link, queue.name, [_request()])
    with channel(link) as opened:
        for _ in range(topology.DELIVERY_LIMIT + 1):
            opened.basic_reject(opened.basic_get(queue.name).delivery_tag, True)
    wait_until(lambda: letters.unread() == {service: 1})
    assert letters.look(MOST).letters == [], "no operator can read it"
    # when its service takes it back
    run_rescue(SEAL)
    wait_until(lambda: len(letters.look(MOST).letters) == 1)
    # then it is a letter like any other: named, sealed, and to be put back
    (found,) = letters.look(MOST).letters
    assert found.letter is not None
    assert (found.letter.queue, found.reason, found.letter.id) == (queue.name, "delivered-too-often", "r-1")
    assert SEAL.open(found.letter.sealed or b"") == _request()
    assert letters.unread() == {}


def test_nobody_but_the_broker_gives_up_for_a_service(
    link: Link, service: str, queue: topology.Queue, letters: Letters, run_rescue: Callable[..., None]
) -> None:
    # given somebody who puts a message of their own there, past the broker's checks
    with channel(link) as opened:
        opened.confirm_select()
        opened.basic_publish_confirm(Message(_request()), "", topology.GivenUp(service).name)
    run_rescue(SEAL)
    # then no letter is made of it
    wait_until(lambda: letters.unread() == {})
    assert letters.look(MOST).letters == []


def test_a_letter_that_its_service_did_not_write_is_not_put_back(
    link: Link, service: str, queue: topology.Queue, letters: Letters
) -> None:
    # given a letter that somebody put into the queue of dead letters by the default exchange, with a request they may not make
    forged = dead.DeadLetter(
        queue=queue.name, reason="foreign-entry", attempts=1, at=1, size=9, letter="f" * 32, body=held("x").decode()
    )
    with channel(link) as opened:
        opened.confirm_select()
        body = dead.outgoing(forged, service).body
        opened.basic_publish_confirm(Message(body, content_type=dead.CONTENT_TYPE), "", topology.dead_queue(service))
    # when an operator looks and has all put back
    (found,) = letters.look(MOST).letters
    told = list(letters.replay(lambda _: True))
    # then it is none of Valet's, and stays
    assert (found.reason, found.replayable) == ("unreadable", False)
    assert [why for _, why in told] == ["its content was not kept"]
    assert depth(link, queue.name) == 0


def test_a_message_that_reached_a_service_by_a_wrong_way_is_not_kept_when_the_broker_gives_it_up(
    link: Link, queue: topology.Queue, letters: Letters, run_rescue: Callable[..., None]
) -> None:
    # given a request that nobody had the right to say, returned more often than the broker allows
    with channel(link) as opened:
        opened.confirm_select()
        opened.basic_publish_confirm(Message(_request(), content_type="application/cloudevents+json"), "", queue.name)
        for _ in range(topology.DELIVERY_LIMIT + 1):
            opened.basic_reject(opened.basic_get(queue.name).delivery_tag, True)
    run_rescue(SEAL)
    wait_until(lambda: len(letters.look(MOST).letters) == 1)
    # then nothing of it is kept: put back by an operator it would have the right way
    (found,) = letters.look(MOST).letters
    assert (found.reason, found.replayable) == ("delivered-too-often", False)


def _named(*wanted: str) -> Callable[[Found, bytes], bool]:
    return lambda found, _: found.name in wanted


def _note(seen: list[str]) -> Callable[[Found, bytes], bool]:
    def keep(found: Found, _: bytes) -> bool:
        seen.append(found.name)
        return False

    return keep


def _nothing() -> None:
    """Nothing is written down."""


class TestSifting:
    """What an erasure does with a service's own letters."""

    def test_the_unwanted_are_gone_and_the_others_stay_in_order(
        self, letters: Letters, put: Callable[..., None], link: Link, service: str
    ) -> None:
        put("a" * 32, "b" * 32, "c" * 32, "d" * 32)
        called: list[int] = []
        gone = letters.sift(
            _named("b" * 32, "d" * 32), lambda: called.append(depth(link, topology.dead_queue(service)))
        )

        assert (gone, called) == (2, [0]), "all were in hand when it was called"
        wait_until(lambda: names(letters.look(MOST).letters) == ["a" * 32, "c" * 32])

    def test_nothing_is_destroyed_before_it_is_written_down(self, letters: Letters, put: Callable[..., None]) -> None:
        put("a" * 32, "b" * 32)

        def not_written_down() -> None:
            raise StoreUnavailable("made-up outage")

        with pytest.raises(StoreUnavailable):
            letters.sift(lambda *_: True, not_written_down)
        wait_until(lambda: names(letters.look(MOST).letters) == ["a" * 32, "b" * 32])

    def test_a_letter_that_somebody_has_in_hand_is_waited_for(
        self, letters: Letters, put: Callable[..., None], link: Link, publisher: Publisher, service: str
    ) -> None:
        # given an operator who looks at letters just now
        put("a" * 32)
        looking, done = threading.Event(), threading.Event()

        def slow(found: Found) -> bool:
            looking.set()
            return done.wait(20)

        operator = threading.Thread(target=lambda: Letters(link, publisher, [service]).look(MOST, slow))
        operator.start()
        assert looking.wait(20)
        # when they are sifted
        seen: list[str] = []
        sifting = threading.Thread(target=lambda: letters.sift(_note(seen), _nothing))
        sifting.start()
        sifting.join(1)
        assert sifting.is_alive(), "it waits for its turn"
        done.set()
        operator.join(20)
        sifting.join(20)
        # then none was overlooked
        assert seen == ["a" * 32]

    def test_who_keeps_them_too_long_is_not_waited_for(
        self, letters: Letters, put: Callable[..., None], link: Link, service: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put("a" * 32)
        monkeypatch.setattr(module, "TURN", 0.3)
        with channel(link) as other:
            other.queue_declare(topology.letters_in_hand(service), exclusive=True)
            with pytest.raises(BusUnavailable, match="somebody else"):
                letters.sift(lambda *_: True, _nothing)
        wait_until(lambda: names(letters.look(MOST).letters) == ["a" * 32])


def test_how_much_waits_is_seen_without_rights(link: Link, put: Callable[..., None], service: str) -> None:
    put("a" * 32, "b" * 32)
    queue = topology.dead_queue(service)
    assert waiting(link, [queue, "no-such-queue"]) == {queue: 2, "no-such-queue": 0}

"""What availability's answer book promises: a question is answered once, and that answer is remembered."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from libs.contracts.reasons import Reason
from libs.testing.clock import START
from libs.testing.events import held, incoming
from services.availability.domain import Verdict
from services.availability.outgoing import Answer, answer_of
from tests.contract.stores.conftest import AnswerShelf


def answer(name: str, reason: Reason | None = None, *, version: int = 1, at: datetime = START) -> Answer:
    return answer_of(incoming(held(name, version=version)), Verdict(reason), at)


def waiting(shelf: AnswerShelf) -> dict[str, list[str]]:
    found = shelf.outbox.waiting(START + timedelta(days=2), timedelta(0), 100)
    return {id: [pending.type for pending in pendings] for id, pendings in found.items()}


def waiting_soon(shelf: AnswerShelf) -> dict[str, list[str]]:
    """What waits when clearing, which is not waited for by a majority, has come through."""
    deadline = time.monotonic() + 3
    while (found := waiting(shelf)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def test_a_new_answer_stands_and_waits_to_be_told(answers: AnswerShelf) -> None:
    free, busy = answer("free"), answer("busy", Reason.HOST_BUSY)

    assert list(answers.store.add([free, busy])) == [free, busy]
    assert waiting(answers) == {free.id: ["hold-approved"], busy.id: ["hold-refused"]}


def test_the_first_answer_is_remembered(answers: AnswerShelf) -> None:
    first, second = answer("mine"), answer("mine", Reason.HOST_BUSY, at=START + timedelta(seconds=9))
    answers.store.add([first])
    other = answer("other")

    assert list(answers.store.add([second, other])) == [first, other]
    assert waiting(answers)[first.id] == ["hold-approved"]


def test_it_is_remembered_also_when_it_was_told(answers: AnswerShelf) -> None:
    first = answer("mine")
    answers.store.add([first])
    answers.outbox.clear({first.id: [first.event]})

    assert list(answers.store.add([answer("mine", Reason.HOST_BUSY)])) == [first]
    assert waiting_soon(answers) == {}, "it is not put into the outbox again"


def test_of_two_answers_in_a_batch_the_first_stands_for_both(answers: AnswerShelf) -> None:
    first, second, other = answer("mine"), answer("mine", Reason.HOST_BUSY), answer("other")

    assert list(answers.store.add([first, second, other])) == [first, first, other]


def test_each_version_is_a_question_of_its_own(answers: AnswerShelf) -> None:
    one, two = answer("mine"), answer("mine", Reason.HOST_BUSY, version=2)

    assert list(answers.store.add([one])) == [one]
    assert list(answers.store.add([two])) == [two]


def test_replicas_that_answer_at_once_agree(answers: AnswerShelf) -> None:
    given = [answer("mine", reason) for reason in (None, Reason.HOST_BUSY) * 6]

    with ThreadPoolExecutor(6) as pool:
        standing = {stands for found in pool.map(lambda a: answers.store.add([a]), given) for stands in found}

    assert len(standing) == 1

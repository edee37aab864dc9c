"""What availability's answer book promises: a question is answered once, and that answer is remembered."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from libs.contracts.reasons import Reason
from libs.testing.clock import START
from libs.testing.events import held, incoming
from services.availability.domain import Verdict
from services.availability.outgoing import Answer, answer_of
from services.availability.store import AnswerBook


def answer(name: str, reason: Reason | None = None, *, version: int = 1, at: datetime = START) -> Answer:
    return answer_of(incoming(held(name, version=version)), Verdict(reason), at)


def test_a_new_answer_stands(answers: AnswerBook) -> None:
    free, busy = answer("free"), answer("busy", Reason.HOST_BUSY)

    assert list(answers.add([free, busy])) == [free, busy]


def test_the_first_answer_is_remembered(answers: AnswerBook) -> None:
    first, second = answer("mine"), answer("mine", Reason.HOST_BUSY, at=START + timedelta(seconds=9))
    answers.add([first])
    other = answer("other")

    assert list(answers.add([second, other])) == [first, other]


def test_of_two_answers_in_a_batch_the_first_stands_for_both(answers: AnswerBook) -> None:
    first, second, other = answer("mine"), answer("mine", Reason.HOST_BUSY), answer("other")

    assert list(answers.add([first, second, other])) == [first, first, other]


def test_each_version_is_a_question_of_its_own(answers: AnswerBook) -> None:
    one, two = answer("mine"), answer("mine", Reason.HOST_BUSY, version=2)

    assert list(answers.add([one])) == [one]
    assert list(answers.add([two])) == [two]


def test_replicas_that_answer_at_once_agree(answers: AnswerBook) -> None:
    given = [answer("mine", reason) for reason in (None, Reason.HOST_BUSY) * 6]

    with ThreadPoolExecutor(6) as pool:
        standing = {stands for found in pool.map(lambda a: answers.add([a]), given) for stands in found}

    assert len(standing) == 1

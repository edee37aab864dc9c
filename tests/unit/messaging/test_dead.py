"""What a dead letter keeps: nothing that an operator could put back and so make believed."""

import msgspec
import pytest

from libs.contracts.reasons import Reason
from libs.messaging import dead, topology
from libs.messaging.dead import DeadLetter
from libs.messaging.intake import Unfit
from tests.unit.messaging.messages import message

QUEUE = topology.Queue("booking", "change-bookings", ("cancellation-requested",))


class Reverse:
    """A seal that anybody could break."""

    def seal(self, body: bytes, use: str = "") -> bytes:
        return body[::-1]

    def open(self, sealed: bytes, use: str = "") -> bytes:
        return sealed[::-1]


def letter(reason: Reason) -> DeadLetter:
    made = dead.letter(QUEUE, message(b"content"), Unfit(reason), reason, Reverse())
    return msgspec.json.decode(made.body, type=DeadLetter)


@pytest.mark.parametrize("reason", [Reason.TOO_LARGE, Reason.WRONG_ROUTE, Reason.FOREIGN_SOURCE])
def test_what_nobody_had_the_right_to_say_cannot_be_put_back(reason: Reason) -> None:
    assert dead.again(letter(reason)) is None


def test_what_could_not_be_read_can() -> None:
    kept = letter(Reason.NOT_A_CLOUDEVENT)

    assert kept.sealed == b"tnetnoc"
    assert dead.again(kept) is not None

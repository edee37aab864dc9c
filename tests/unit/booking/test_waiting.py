"""Where requests of a person may wait, and that an erasure of the person sees to all of it soon."""

from datetime import timedelta
from itertools import accumulate

from libs.contracts.events import REQUESTS
from libs.messaging.entrypoints import Consumes
from services.booking.erasure import PACE
from services.booking.service import BookingService
from services.booking.wiring import QUEUES


def takers_of_requests() -> list[Consumes]:
    methods = vars(BookingService).values()
    found = [each for method in methods for each in getattr(method, "nameko_entrypoints", ())]
    return [each for each in found if isinstance(each, Consumes) and set(each.types) & set(REQUESTS)]


def test_a_request_is_put_off_only_to_where_an_erasure_looks() -> None:
    # given whatever takes requests in
    takers = takers_of_requests()
    assert {kind for taker in takers for kind in taker.types} == set(REQUESTS)
    # then each delay that it may use is watched, for as long as a message stays in it
    for taker in takers:
        for attempt in range(1, 20):
            delay = taker.policy.next(attempt)
            assert delay is not None, "a request is never given up"
            assert QUEUES[delay.rung.queue] == timedelta(seconds=delay.rung.seconds)


def test_what_others_put_off_keeps_no_erasure_for_long() -> None:
    # given delays that are never seen empty
    longest = max(each for each in QUEUES.values() if each is not None)
    # when an erasure works at its pace
    rounds = list(accumulate(PACE))
    # then it has looked twice within a minute after the last request of before came out: that is what it takes to end it
    assert len([at for at in rounds if longest < at <= longest + timedelta(minutes=1)]) >= 2
    assert longest <= timedelta(minutes=1)

"""What availability's agenda promises: of each booking the newest news, found by host and time."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from libs.testing.clock import START
from libs.testing.events import HOST, HOUR, SOON
from services.availability.agenda import Agenda, MongoAgenda
from services.availability.domain import Window
from services.availability.standing import News, Standing
from tests.contract.stores.conftest import KINDS, MEMORY
from tests.unit.availability.doubles import MemoryAgenda

OTHER = "dr-other"
FAR = START + timedelta(days=3650)  # nothing here is to go by itself
DAY = Window(SOON, SOON + 24 * HOUR)


@pytest.fixture(params=KINDS)
def agenda(request: pytest.FixtureRequest, mongo: Any) -> Agenda:
    if request.param == MEMORY:
        return MemoryAgenda()
    store = MongoAgenda(mongo("availability"))
    store.ensure_indexes()
    store.ensure_indexes()
    return store


def span(from_: float, to: float) -> Window:
    return Window(SOON + from_ * HOUR, SOON + to * HOUR)


def standing(name: str, order: int, stands: Window | None = None, **more: Any) -> Standing:
    return Standing(name, more.pop("host", HOST), order, FAR, stands, **more)


def held(name: str, order: int, pending: Window, **more: Any) -> Standing:
    return standing(name, order, pending=pending, until=START + HOUR, **more)


def note(agenda: Agenda, *standings: Standing, amends: bool = False) -> None:
    agenda.note([News(one, amends, first=one.stands is None and one.pending is not None) for one in standings])


def around(agenda: Agenda, window: Window = DAY, *hosts: str) -> dict[str, Sequence[Standing]]:
    found = agenda.around(hosts or (HOST,), window)
    return {host: sorted(found[host], key=lambda s: s.booking) for host in found}


def test_bookings_come_back_as_they_were_noted(agenda: Agenda) -> None:
    known = [
        standing("a", 3, span(0, 1)),
        held("b", 3, span(2, 3)),
        standing("c", 7, span(4, 5), pending=span(6, 7), until=START + HOUR),
    ]
    note(agenda, *known, standing("d", 3, span(0, 1), host=OTHER))

    assert around(agenda) == {HOST: known}
    assert around(agenda, DAY, HOST, OTHER, "dr-nobody") == {
        HOST: known,
        OTHER: [standing("d", 3, span(0, 1), host=OTHER)],
        "dr-nobody": [],
    }


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("orders", [(3, 5), (5, 3), (5, 5)])
def test_the_newest_news_stands(agenda: Agenda, orders: tuple[int, int], together: bool) -> None:
    first, second = (standing("a", order, span(at, at + 1)) for at, order in enumerate(orders))
    if together:
        note(agenda, first, second)
    else:
        note(agenda, first)
        note(agenda, second)

    assert around(agenda) == {HOST: [second if orders[1] > orders[0] else first]}


@pytest.mark.parametrize("known", ["nothing", "older", "newer"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_held_and_confirmed_in_one_batch_are_one_booking(agenda: Agenda, known: str, shuffled: bool) -> None:
    before = {"older": held("a", 3, span(0, 1)), "newer": standing("a", 7, span(4, 5))}.get(known)
    if before:
        note(agenda, before)
    news = [held("a", 3, span(0, 1)), standing("a", 5, span(0, 1)), held("b", 3, span(2, 3))]

    note(agenda, *(reversed(news) if shuffled else news))

    assert around(agenda)[HOST] == [before if before and known == "newer" else news[1], news[2]]


def test_what_is_old_news_of_one_does_not_keep_out_the_others(agenda: Agenda) -> None:
    note(agenda, standing("a", 5, span(0, 1)), standing("c", 5, span(2, 3)))
    note(agenda, standing("a", 3), standing("b", 3, span(4, 5)), standing("c", 7, span(6, 7)))

    assert around(agenda)[HOST] == [
        standing("a", 5, span(0, 1)),
        standing("b", 3, span(4, 5)),
        standing("c", 7, span(6, 7)),
    ]


def test_what_is_over_takes_nothing_and_stays_over(agenda: Agenda) -> None:
    note(agenda, standing("a", 5, span(0, 1)))
    note(agenda, standing("a", 7))
    note(agenda, standing("a", 5, span(0, 1)))

    assert around(agenda) == {HOST: []}
    assert agenda.counts([HOST], DAY, START) == {}


def test_what_only_amends_needs_something_to_amend(agenda: Agenda) -> None:
    note(agenda, standing("a", 4, span(0, 1)), amends=True)
    assert around(agenda) == {HOST: []}

    note(agenda, standing("a", 3, span(0, 1)))
    note(agenda, standing("a", 4, span(2, 3)), amends=True)
    assert around(agenda) == {HOST: [standing("a", 4, span(2, 3))]}

    agenda.note([News(standing("b", 4, span(5, 6)), amends=True), News(standing("b", 3, span(7, 8)))])
    assert around(agenda)[HOST][1:] == [standing("b", 4, span(5, 6))]


@pytest.mark.parametrize(
    ("window", "found"),
    [
        (span(0, 1), True),
        (span(-5, 0), False),
        (span(-5, 0.01), True),
        (span(1, 2), True),
        (span(7, 9), False),
        (span(6.9, 9), True),
    ],
)
def test_they_are_found_by_all_that_they_take(agenda: Agenda, window: Window, found: bool) -> None:
    note(agenda, standing("a", 3, span(0, 1), pending=span(6, 7), until=START + HOUR))

    assert bool(around(agenda, window)[HOST]) is found


def test_bookings_are_counted_by_host(agenda: Agenda) -> None:
    note(
        agenda,
        standing("a", 3, span(0, 1)),
        standing("b", 3, span(2, 3), pending=span(4, 5), until=START),
        held("c", 3, span(6, 7)),
        standing("d", 3, span(30, 31)),
        standing("e", 3),
        standing("f", 3, span(0, 1), host=OTHER),
    )

    assert agenda.counts([HOST, OTHER, "dr-nobody"], DAY, START) == {HOST: 3, OTHER: 1}
    assert agenda.counts([HOST], DAY, START + HOUR) == {HOST: 2}, "a hold that is over does not count"


def test_nothing_to_note_is_no_trouble(agenda: Agenda) -> None:
    agenda.note([])

    assert around(agenda) == {HOST: []}


def test_replicas_that_note_at_once_agree(agenda: Agenda) -> None:
    news = [standing("a", order, span(order, order + 1)) for order in range(12)]

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda one: note(agenda, one), [*news[6:], *news[:6]]))

    assert around(agenda) == {HOST: [news[-1]]}


def test_what_is_long_past_goes_by_itself(mongo: Any) -> None:
    store = MongoAgenda(mongo("availability"))
    store.ensure_indexes()

    indexes = store.documents.index_information()
    assert indexes["age"]["expireAfterSeconds"] == 0
    assert indexes["age"]["key"] == [("expires", 1)]


def test_looking_around_uses_the_index(mongo: Any) -> None:
    store = MongoAgenda(mongo("availability"))
    store.ensure_indexes()
    note(store, *(standing(f"n{n}", 3, span(n, n + 1), host=f"dr-{n % 20}") for n in range(400)))

    plan = store.documents.find({"host": {"$in": ["dr-1"]}, "ends": {"$gt": SOON}, "starts": {"$lt": FAR}}).explain()
    assert "IXSCAN" in str(plan["queryPlanner"]["winningPlan"])

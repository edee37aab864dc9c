"""What was held a moment ago is remembered once, of so many bookings, until it changes."""

from services.booking.domain import Booking
from services.booking.recent import Recent
from tests.unit.booking.doubles import world
from tests.unit.booking.test_deciding import held


def three() -> list[Booking]:
    return held(world(), 3)


def test_each_is_given_out_once() -> None:
    first, second, _ = three()
    recent = Recent()
    recent.keep([first, second])

    assert recent.take([second.id, "bk_other", second.id]) == {second.id: second}
    assert recent.take([first.id, second.id]) == {first.id: first}


def test_the_oldest_are_let_go() -> None:
    bookings = three()
    recent = Recent(most=2)
    recent.keep(bookings)

    assert list(recent.take([booking.id for booking in bookings])) == [booking.id for booking in bookings[1:]]


def test_what_has_changed_is_forgotten() -> None:
    first, second, _ = three()
    recent = Recent()
    recent.keep([first, second])
    recent.forget([first.id, "bk_other"])

    assert recent.take([first.id, second.id]) == {second.id: second}

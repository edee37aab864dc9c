"""Requests come in, in batches: each is held, rejected with its own reason, or put off; none harms its neighbours."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.events import BookingRequested
from libs.contracts.reasons import Reason
from libs.crypto.envelopes import Envelopes
from libs.messaging.delivery import DONE, Incoming, Outcome, Refuse, Retry
from libs.testing.clock import START
from libs.testing.events import ADA, HOST, SOON, incoming, malformed, requested, sealed_request
from libs.testing.keys import keyring
from services.booking.claims import Span
from services.booking.domain import State
from services.booking.handlers import hold_bookings
from services.booking.life import approve
from services.booking.store import Change
from tests.contract.events.published import schema_accepts
from tests.unit.booking.doubles import World, event_of, overlapping, world

AWAY = Retry(Reason.STORE_UNAVAILABLE)
MINUTE = timedelta(minutes=1)


def hold(made: World, *data: BookingRequested | Incoming[Any]) -> Sequence[Outcome]:
    """Give the handler a batch; what is not yet an event becomes one with an id of its own."""
    batch: list[Any] = [item if isinstance(item, Incoming) else incoming(item) for item in data]
    return hold_bookings(batch, made.desk)


def at(offset: int, **given: Any) -> BookingRequested:
    return requested(SOON + offset * MINUTE, **given)


def test_a_good_request_is_held_and_told() -> None:
    made = world()
    item = incoming(requested(), id="r-1", traceparent="00-trace")

    assert hold(made, item) == [DONE]
    (booking,) = made.store.kept.values()
    assert booking.state is State.HELD
    assert (booking.request.source, booking.request.id) == (item.source, "r-1")
    assert booking.span == Span(HOST, SOON, SOON + timedelta(hours=1))
    assert (booking.person is not None, booking.sealed is not None) == (True, True)
    (event,) = made.told.events
    assert (event["type"], event["subject"], event["traceparent"]) == ("booking-held", booking.id, "00-trace")


BAD: list[tuple[BookingRequested, Reason]] = [
    (requested(minutes=0), Reason.END_BEFORE_START),
    (requested(minutes=-30), Reason.END_BEFORE_START),
    (at(3), Reason.OFF_GRID),
    (requested(minutes=7), Reason.OFF_GRID),
    (requested(START - timedelta(days=1)), Reason.IN_THE_PAST),
    (requested(minutes=24 * 60), Reason.TOO_LONG),
    (requested(START + timedelta(days=400)), Reason.TOO_FAR_AHEAD),
    (requested(invitee=msgspec.structs.replace(ADA, time_zone="Mars/Olympus")), Reason.UNKNOWN_TIME_ZONE),
    (requested(invitee=msgspec.structs.replace(ADA, time_zone="../etc/passwd")), Reason.UNKNOWN_TIME_ZONE),
    (requested(invitee=msgspec.structs.replace(ADA, email="ada")), Reason.INVALID_EMAIL),
    (
        requested(invitee=msgspec.structs.replace(ADA, email="ada@example.com\r\nBcc: x@example.com")),
        Reason.INVALID_EMAIL,
    ),
    (requested(invitee=None), Reason.MALFORMED_REQUEST),
    (requested(sealed="a.b.c.d.e"), Reason.MALFORMED_REQUEST),
    (requested(invitee=None, title=None, sealed="a.b.c.d.e"), Reason.SEAL_UNREADABLE),
    (requested(datetime(1, 1, 1, tzinfo=UTC)), Reason.IN_THE_PAST),
    (
        BookingRequested(
            host=HOST,
            start=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9))),
            end=datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-9))),
            invitee=ADA,
        ),
        Reason.MALFORMED_REQUEST,
    ),
]


@pytest.mark.parametrize(("data", "reason"), BAD, ids=lambda v: str(v) if isinstance(v, Reason) else "")
def test_a_bad_request_is_rejected_with_its_own_reason(data: BookingRequested, reason: Reason) -> None:
    made = world()

    assert hold(made, data) == [Refuse(reason)]
    (booking,) = made.store.kept.values()
    (event,) = made.told.events
    assert (booking.state, booking.reason, booking.claims) == (State.REJECTED, reason, ())
    assert (booking.sealed, booking.person) == (None, None), "nothing of the invitee is kept"
    assert (event["type"], event["data"]["reason"]) == ("booking-rejected", reason)
    assert schema_accepts(event)
    assert made.keys.kept == {}, "and no key is made for them"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Reason.MALFORMED_EVENT, Reason.MALFORMED_REQUEST),
        (Reason.TIME_WITHOUT_OFFSET, Reason.TIME_WITHOUT_OFFSET),
    ],
)
def test_a_request_that_cannot_be_read_is_rejected_too(said: Reason, reason: Reason) -> None:
    made = world()

    assert hold(made, malformed(said)) == [Refuse(reason)]
    assert made.told.events[0]["data"]["request"]["source"] == "urn:example:shop"
    assert "host" not in made.told.events[0]["data"]


def test_bad_items_leave_their_neighbours_unharmed() -> None:
    made = world()
    batch: list[Any] = [at(0), malformed(), at(60), *[data for data, _ in BAD], at(30), at(120)]

    outcomes = hold(made, *batch)

    assert outcomes[:3] == [DONE, Refuse(Reason.MALFORMED_REQUEST), DONE]
    assert outcomes[3 : 3 + len(BAD)] == [Refuse(reason) for _, reason in BAD]
    assert outcomes[-2:] == [Refuse(Reason.TIME_TAKEN), DONE]
    assert len(made.store.kept) == len(batch)
    assert sorted(made.told.types) == ["booking-held"] * 3 + ["booking-rejected"] * (len(batch) - 3)


@pytest.mark.parametrize("how", ["one batch", "two batches"])
def test_the_first_of_two_rivals_has_the_time(how: str) -> None:
    made = world()
    first, second = incoming(at(0), id="first"), incoming(at(55), id="second")

    outcomes = hold(made, first, second) if how == "one batch" else [*hold(made, first), *hold(made, second)]

    assert outcomes == [DONE, Refuse(Reason.TIME_TAKEN)]
    assert made.told.types == ["booking-held", "booking-rejected"], "each outcome is told once"


def test_adjacent_times_are_both_held() -> None:
    assert hold(world(), at(0), at(60), at(-60)) == [DONE] * 3


def test_a_batch_is_told_in_few_flights() -> None:
    made = world()
    batch = [incoming(at(0), id=f"r-{n}") for n in range(20)]
    hold(made, *batch)
    flights = len(made.told.flights)
    hold(made, *batch)

    assert flights <= 2, "one for what was added, one for what was rejected"
    assert len(made.told.flights) - flights == 1, "answers given again go together"


@pytest.mark.parametrize("times", [2, 3])
def test_the_same_request_twice_in_a_batch_is_one_booking(times: int) -> None:
    made = world()
    item = incoming(requested(), id="r-1")

    assert hold(made, *[item] * times) == [DONE] * times
    assert len(made.store.kept) == 1
    assert made.told.types == ["booking-held"]


def test_a_request_said_again_while_held_changes_nothing() -> None:
    made = world()
    item = incoming(requested(), id="r-1")
    hold(made, item)
    before = dict(made.store.kept)
    made.clock.move(MINUTE)

    assert hold(made, replace(item, attempt=2)) == [DONE]
    assert made.store.kept == before
    assert made.told.types == ["booking-held"]


def test_a_request_said_again_after_its_decision_gets_the_same_outcome() -> None:
    made = world()
    item = incoming(requested(), id="r-1")
    hold(made, item)
    (booking,) = made.store.kept.values()
    confirmed = approve(booking, 1, made.clock.move(MINUTE))
    assert confirmed is not None
    made.store.change([Change(booking, confirmed, [event_of(confirmed)])])
    made.told.forget()

    # Long after: the time lies in the past by now, and the answer is still the same.
    made.clock.move(timedelta(days=30))
    assert hold(made, item) == [DONE]
    assert made.told.pendings == [event_of(confirmed)]


def test_a_rejection_said_again_is_the_same_to_the_byte() -> None:
    made = world()
    off = requested(SOON + timedelta(microseconds=1234))
    item = incoming(off, id="r-1")
    hold(made, item)
    made.clock.move(timedelta(days=2))

    assert hold(made, item) == [Refuse(Reason.OFF_GRID)]
    first, again = made.told.pendings
    assert again == first


@pytest.mark.parametrize(
    "other",
    [
        requested(SOON + timedelta(hours=3)),
        requested(minutes=30),
        requested(host="dr-other"),
        requested(title="Another"),
        requested(title=None),
        requested(invitee=msgspec.structs.replace(ADA, name="Eve Example")),
        requested(invitee=msgspec.structs.replace(ADA, fields={})),
        requested(minutes=7),
    ],
)
@pytest.mark.parametrize("how", ["one batch", "two batches"])
def test_an_identity_used_again_for_something_else_is_rejected(other: BookingRequested, how: str) -> None:
    made = world()
    first, second = incoming(requested(), id="r-1"), incoming(other, id="r-1")
    made.told.forget()

    outcomes = hold(made, first, second) if how == "one batch" else [*hold(made, first), *hold(made, second)]

    assert outcomes == [DONE, Refuse(Reason.IDENTITY_REUSED)]
    assert made.told.types == ["booking-held", "booking-rejected"]
    held, rejected = (event["data"] for event in made.told.events)
    assert rejected["booking"] != held["booking"], "nobody takes it for the outcome of the first"
    assert rejected["request"]["id"] == "r-1"
    assert made.booking(held["booking"]).state is State.HELD, "the first is untouched"


def test_a_reused_identity_said_again_gets_the_same_rejection() -> None:
    made = world()
    other = incoming(requested(minutes=30), id="r-1")
    hold(made, incoming(requested(), id="r-1"), other)
    rejection = made.told.pendings[-1]
    made.told.forget()
    made.clock.move(MINUTE)

    assert hold(made, other, other) == [Refuse(Reason.IDENTITY_REUSED)] * 2
    assert set(made.told.pendings) == {rejection}


def test_the_same_id_from_another_source_is_another_request() -> None:
    made = world()

    assert hold(made, incoming(at(0), id="r-1"), incoming(at(60), id="r-1", source="urn:example:other")) == [DONE, DONE]
    assert len(made.store.kept) == 2


def test_the_offset_a_time_is_written_in_does_not_matter() -> None:
    made = world()
    tokyo = timezone(timedelta(hours=9))
    hold(made, incoming(requested(), id="r-1"))

    assert hold(made, incoming(requested(SOON.astimezone(tokyo)), id="r-1")) == [DONE]
    assert len(made.store.kept) == 1


class TestSealed:
    def test_a_sealed_request_is_held(self) -> None:
        made = world(require_sealed=True)

        assert hold(made, sealed_request(made.envelopes)) == [DONE]

    def test_sealed_anew_it_is_still_the_same_request(self) -> None:
        made = world()
        twice = [incoming(sealed_request(made.envelopes), id="r-1") for _ in range(2)]
        assert twice[0].data.sealed != twice[1].data.sealed

        assert hold(made, *twice, incoming(requested(), id="r-1")) == [DONE] * 3
        assert len(made.store.kept) == 1

    def test_unsealed_is_refused_where_sealed_is_required(self) -> None:
        made = world(require_sealed=True)

        assert hold(made, at(0), sealed_request(made.envelopes, SOON)) == [Refuse(Reason.UNSEALED), DONE]

    def test_sealed_for_somebody_else_is_unreadable(self) -> None:
        other = Envelopes(keyring("k9", index=b"x" * 32))

        assert hold(world(), sealed_request(other)) == [Refuse(Reason.SEAL_UNREADABLE)]

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ({"invitee": {"name": "Ada"}}, Reason.MALFORMED_REQUEST),
            ({"invitee": ADA, "host": "dr-other"}, Reason.MALFORMED_REQUEST),
            ([], Reason.MALFORMED_REQUEST),
            ({"invitee": msgspec.structs.replace(ADA, email="ada")}, Reason.INVALID_EMAIL),
            ({"invitee": msgspec.structs.replace(ADA, time_zone="Mars/Olympus")}, Reason.UNKNOWN_TIME_ZONE),
        ],
    )
    def test_what_it_opens_to_is_checked(self, content: object, reason: Reason) -> None:
        made = world()

        assert hold(made, sealed_request(made.envelopes, content=content)) == [Refuse(reason)]


class TestTrouble:
    def test_without_the_store_all_are_put_off(self) -> None:
        made = world()
        made.store.away = True

        assert hold(made, at(0), malformed(), at(60)) == [AWAY] * 3
        assert made.told.types == []

    def test_without_the_keys_all_are_put_off(self) -> None:
        made = world()
        made.keys.away = True

        assert hold(made, at(0), at(60)) == [AWAY] * 2
        assert made.store.kept == {}

    def test_without_the_bus_the_relay_does_it_later(self) -> None:
        made = world()
        made.told.fails = True

        assert hold(made, at(0)) == [DONE]
        assert len(made.store.outbox.waiting(made.clock() + MINUTE, timedelta(0), 10)) == 1

    def test_put_off_and_tried_again_it_is_one_booking(self) -> None:
        made = world()
        item = incoming(at(0), id="r-1")
        made.store.away = True
        hold(made, item)
        made.store.away = False

        assert hold(made, replace(item, attempt=2)) == [DONE]
        assert len(made.store.kept) == 1

    def test_keys_are_asked_for_once_a_batch(self) -> None:
        made = world()
        hold(made, *[at(60 * n, invitee=msgspec.structs.replace(ADA, email=f"p{n}@example.com")) for n in range(8)])

        assert made.keys.reads == 0, "what was missing is made, not read"


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(1, 6), st.sampled_from(["dr-a", "dr-b"]), st.integers(0, 3)),
        max_size=25,
    ),
    st.integers(1, 6),
)
def test_whatever_is_asked_for_no_two_bookings_overlap(asked: list[tuple[int, int, str, int]], size: int) -> None:
    made = world()
    items = [
        incoming(at(5 * start, minutes=5 * length, host=host), id=f"r-{n - again if n >= again else n}")
        for n, (start, length, host, again) in enumerate(asked)
    ]
    for first in range(0, len(items), size):
        hold(made, *items[first : first + size])

    assert not overlapping([b.span for b in made.store.kept.values() if b.span and not b.over])
    told = {event["data"]["booking"] for event in made.told.events}
    assert told == set(made.store.kept), "every booking is told of"

"""Holds are answered from the calendars as they stand now; unknown is never free."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.events import BookingHeld, CalendarReconnectNeeded, HostCalendarsChanged, TimeSpan
from libs.contracts.questions import HostState
from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE, Incoming, Outcome, Retry
from libs.providers.errors import (
    CalendarNotFound,
    EgressRefused,
    GrantDead,
    ProviderError,
    RateLimited,
    Unauthorized,
    Unreachable,
)
from libs.testing.events import HOST, HOUR, SOON, connection_id, held, incoming
from libs.testing.grants import calendar_of
from services.availability.domain import Window
from services.availability.handlers import PATIENCE, check_holds, forget_access
from services.availability.questions import Wanted, find_slots
from tests.contract.events.published import schema_accepts
from tests.unit.availability.doubles import HOLD, World, world

UNREAD = Retry(Reason.CALENDAR_UNREADABLE)
LATE = HOLD * PATIENCE
CALENDAR = f"google-of-{HOST}"


def check(made: World, *holds: BookingHeld | Incoming[BookingHeld]) -> Sequence[Outcome]:
    """Give the handler a batch; what is not yet an event becomes one that was emitted just now."""
    items = [hold if isinstance(hold, Incoming) else incoming(hold, time=made.clock()) for hold in holds]
    return check_holds(items, made.desk)


def told(made: World) -> list[tuple[str, str | None]]:
    return [(event["type"], event["data"].get("reason")) for event in made.told.events]


def connected(*providers: Any, snapshot_seconds: float = 0) -> World:
    made = world(snapshot_seconds)
    made.connect(HOST, *providers)
    return made


def test_a_free_calendar_approves() -> None:
    made = connected()
    item = incoming(held("mine"), time=made.clock(), traceparent="00-trace")

    assert check(made, item) == [DONE]
    (event,) = made.told.events
    assert (event["type"], event["data"]["booking"], event["data"]["version"]) == (
        "hold-approved",
        item.data.booking,
        1,
    )
    assert event["traceparent"] == "00-trace"
    assert schema_accepts(event)


@pytest.mark.parametrize(
    ("from_", "to", "answer"),
    [
        (-1, 0, ("hold-approved", None)),
        (1, 2, ("hold-approved", None)),
        (-1, 2, ("hold-refused", "host-busy")),
        (0, 1, ("hold-refused", "host-busy")),
        (0.25, 0.5, ("hold-refused", "host-busy")),
        (-1, 0.01, ("hold-refused", "host-busy")),
        (0.99, 2, ("hold-refused", "host-busy")),
    ],
)
def test_a_busy_calendar_refuses(from_: float, to: float, answer: tuple[str, str | None]) -> None:
    made = connected()
    made.google.add_outside(CALENDAR, SOON + from_ * HOUR, SOON + to * HOUR)

    assert check(made, held("mine")) == [DONE]
    assert told(made) == [answer]


def test_all_calendars_of_a_host_count() -> None:
    made = connected("google", "microsoft")
    made.microsoft.add_outside(f"microsoft-of-{HOST}", SOON, SOON + HOUR)

    check(made, held("mine"))
    assert told(made) == [("hold-refused", "host-busy")]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("unknown", Reason.UNKNOWN_HOST),
        ("invited", Reason.HOST_NOT_CONNECTED),
        ("disconnected", Reason.HOST_NOT_CONNECTED),
    ],
)
def test_a_host_without_a_calendar_refuses_at_once(state: HostState, reason: Reason) -> None:
    made = world()
    made.grants.set_state(HOST, state)

    assert check(made, held("mine")) == [DONE]
    assert told(made) == [("hold-refused", reason)]


TROUBLE: list[ProviderError] = [
    Unreachable("timeout"),
    RateLimited("http-429", 30),
    Unauthorized("http-401"),
    GrantDead("invalid-grant"),
    CalendarNotFound("http-404"),
    EgressRefused("not-allowed"),
]


class TestUnreadable:
    @pytest.mark.parametrize("error", TROUBLE, ids=lambda e: type(e).__name__)
    @pytest.mark.parametrize("other_is_busy", [False, True])
    def test_a_provider_in_trouble_is_asked_again_later(self, error: ProviderError, other_is_busy: bool) -> None:
        made = connected("google", "microsoft")
        made.google.fail("busy", error)
        if other_is_busy:
            made.microsoft.add_outside(f"microsoft-of-{HOST}", SOON, SOON + HOUR)

        assert check(made, held("mine")) == [UNREAD]
        assert told(made) == []

    def test_a_calendar_unreadable_inside_a_good_answer_is_unknown(self) -> None:
        made = connected()
        made.google.unreadable(CALENDAR)

        assert check(made, held("mine")) == [UNREAD]

    def test_a_calendar_missing_from_the_answer_is_unknown(self) -> None:
        made = connected()
        made.google.busy = lambda *_: {}  # type: ignore[method-assign]  # what no provider should do

        assert check(made, held("mine")) == [UNREAD]

    @pytest.mark.parametrize("state", ["connected", "reconnect-needed"])
    def test_without_a_token_it_is_unknown(self, state: HostState) -> None:
        made = world()
        made.grants.connect(HOST, calendar_of(HOST, token=None))
        made.grants.hosts[HOST] = replace_state(made, state)

        assert check(made, held("mine")) == [UNREAD]

    @pytest.mark.parametrize("state", ["connected", "reconnect-needed"])
    def test_with_nothing_to_read_it_is_unknown(self, state: HostState) -> None:
        made = world()
        made.grants.set_state(HOST, state)

        assert check(made, held("mine")) == [UNREAD]

    def test_without_auth_it_is_unknown(self) -> None:
        made = connected()
        made.grants.away = True

        assert check(made, held("one"), held("two")) == [UNREAD] * 2

    def test_a_token_that_was_not_accepted_is_not_used_again(self) -> None:
        made = connected()
        made.google.expire(f"token-{CALENDAR}")

        assert check(made, held("mine")) == [UNREAD]
        assert made.grants.forgotten == [HOST]

    @pytest.mark.parametrize(
        "trouble", ["provider", "calendar", "auth", "token", "nothing"], ids=lambda trouble: f"no-{trouble}"
    )
    @pytest.mark.parametrize(
        ("after", "outcome", "answer"),
        [
            (LATE - timedelta(milliseconds=1), UNREAD, []),
            (LATE, DONE, [("hold-refused", "calendar-unreadable")]),
            (HOLD * 3, DONE, [("hold-refused", "calendar-unreadable")]),
        ],
    )
    def test_patience_ends_in_a_refusal_and_never_in_approval(
        self, trouble: str, after: timedelta, outcome: Outcome, answer: list[tuple[str, str]]
    ) -> None:
        made = connected()
        break_(made, trouble)
        item = incoming(held("mine"), time=made.clock())
        made.clock.move(after)

        assert check(made, item) == [outcome]
        assert told(made) == answer

    def test_without_a_time_patience_counts_from_when_it_was_first_seen(self) -> None:
        made = connected()
        break_(made, "provider")
        item = incoming(held("mine"), first_seen=made.clock())
        made.clock.move(LATE)

        assert check(made, item) == [DONE]
        assert told(made) == [("hold-refused", "calendar-unreadable")]

    @given(st.sampled_from(["provider", "calendar", "auth", "token", "nothing"]), st.integers(0, 1000), st.booleans())
    def test_never_approved(self, trouble: str, seconds: int, busy: bool) -> None:
        made = connected()
        if busy:
            made.google.add_outside(CALENDAR, SOON, SOON + HOUR)
        break_(made, trouble)
        item = incoming(held("mine"), time=made.clock())
        made.clock.move(timedelta(seconds=seconds))
        check(made, item)

        assert "hold-approved" not in made.told.types


def replace_state(made: World, state: HostState) -> Any:
    return msgspec.structs.replace(made.grants.hosts[HOST], state=state)


def break_(made: World, what: str) -> None:
    """Make HOST's calendar unreadable in one way or another."""
    if what == "provider":
        made.google.fail("busy", Unreachable("timeout"), times=99)
    elif what == "calendar":
        made.google.unreadable(CALENDAR)
    elif what == "auth":
        made.grants.away = True
    elif what == "token":
        made.grants.connect(HOST, calendar_of(HOST, token=None))
    else:
        made.grants.set_state(HOST, "connected")


class TestBatches:
    def test_each_hold_has_an_answer_of_its_own(self) -> None:
        made = world()
        for host in ("dr-free", "dr-busy", "dr-lost"):
            made.connect(host)
        made.google.add_outside("google-of-dr-busy", SOON, SOON + HOUR)
        made.google.unreadable("google-of-dr-lost")
        made.grants.set_state("dr-gone", "disconnected")
        hosts = ["dr-lost", "dr-free", "dr-nobody", "dr-busy", "dr-gone", "dr-free"]

        outcomes = check(made, *[held(f"n{n}", host=host) for n, host in enumerate(hosts)])

        assert outcomes == [UNREAD, DONE, DONE, DONE, DONE, DONE]
        assert sorted((e["data"]["host"], e["type"], e["data"].get("reason")) for e in made.told.events) == [
            ("dr-busy", "hold-refused", "host-busy"),
            ("dr-free", "hold-approved", None),
            ("dr-free", "hold-approved", None),
            ("dr-gone", "hold-refused", "host-not-connected"),
            ("dr-nobody", "hold-refused", "unknown-host"),
        ]

    def test_auth_is_asked_once_and_each_host_is_read_once(self) -> None:
        made = connected()
        check(made, *[held(f"n{n}", SOON + n * HOUR) for n in range(20)])

        assert made.grants.asked == [[HOST]]
        assert len(made.google.calls) == 1
        assert made.told.types == ["hold-approved"] * 20
        assert len(made.told.flights) == 1

    def test_each_hold_is_judged_by_its_own_time(self) -> None:
        made = connected()
        made.google.add_outside(CALENDAR, SOON + 3 * HOUR, SOON + 4 * HOUR)
        check(made, *[held(f"n{n}", SOON + n * HOUR) for n in range(6)])

        assert [kind for kind, _ in told(made)].index("hold-refused") == 3
        assert made.told.types.count("hold-refused") == 1

    def test_the_same_hold_twice_is_answered_alike(self) -> None:
        made = connected()
        hold = held("mine")

        assert check(made, hold, hold) == [DONE, DONE]
        assert len(set(made.told.pendings)) == 1

    def test_asked_again_the_calendar_is_read_again(self) -> None:
        made = connected()
        item = incoming(held("mine"), time=made.clock())
        check(made, item)
        made.google.add_outside(CALENDAR, SOON, SOON + HOUR)
        made.clock.move(timedelta(seconds=5))

        assert check(made, replace(item, attempt=2)) == [DONE]
        assert made.told.types == ["hold-approved", "hold-refused"]  # the booking service takes the first

    def test_without_the_store_all_are_put_off(self) -> None:
        made = connected()
        made.rules.away = True

        assert check(made, held("one"), held("two")) == [Retry(Reason.STORE_UNAVAILABLE)] * 2
        assert told(made) == []

    def test_an_answer_that_was_not_confirmed_is_given_again(self) -> None:
        made = connected()
        made.told.fails = True
        assert check(made, held("mine")) == [Retry(Reason.BUS_UNAVAILABLE)]
        made.told.fails = False

        assert check(made, held("mine")) == [DONE]
        first, again = made.told.pendings
        assert again == first


class TestHostRules:
    """SOON is Tuesday 2030-01-08, 09:00 UTC; holds are for one hour."""

    @pytest.mark.parametrize(
        ("rules", "answer"),
        [
            ({}, ("hold-approved", None)),
            ({"weekly": {"tue": [{"start": "09:00", "end": "10:00"}]}}, ("hold-approved", None)),
            ({"weekly": {"tue": [{"start": "09:30", "end": "17:00"}]}}, ("hold-refused", "outside-hours")),
            ({"overrides": {"2030-01-08": []}}, ("hold-refused", "outside-hours")),
            (
                {"time_zone": "America/New_York", "weekly": {"tue": [{"start": "09:00", "end": "17:00"}]}},
                ("hold-refused", "outside-hours"),
            ),
            ({"minimum_notice_minutes": 24 * 60}, ("hold-approved", None)),
            ({"minimum_notice_minutes": 24 * 60 + 1}, ("hold-refused", "too-short-notice")),
            ({"horizon_days": 1}, ("hold-approved", None)),
            ({"durations_minutes": [30, 60]}, ("hold-approved", None)),
            ({"durations_minutes": [30]}, ("hold-refused", "duration-not-offered")),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("moves", [False, True])
    def test_a_hold_keeps_to_them(self, rules: dict[str, Any], answer: tuple[str, str | None], moves: bool) -> None:
        made = connected()
        made.rules.arrange(HOST, **rules)
        hold = moving(SOON, SOON + 5 * HOUR) if moves else held("mine")

        assert check(made, hold) == [DONE]
        assert told(made) == [answer]

    def test_what_they_forbid_is_not_looked_up(self) -> None:
        made = connected()
        made.rules.arrange(HOST, durations_minutes=[30])
        check(made, held("mine"))

        assert made.google.calls == []

    def test_they_refuse_also_while_auth_is_away(self) -> None:
        made = connected()
        made.rules.arrange(HOST, durations_minutes=[30])
        made.grants.away = True

        assert check(made, held("mine"), held("other", host="dr-other")) == [DONE, UNREAD]
        assert told(made) == [("hold-refused", "duration-not-offered")]

    def test_a_host_who_is_not_known_is_named_first(self) -> None:
        made = world()
        made.rules.arrange(HOST, durations_minutes=[30])
        check(made, held("mine"))

        assert told(made) == [("hold-refused", "unknown-host")]

    def test_notice_counts_from_when_the_time_was_held(self) -> None:
        made = connected()
        made.rules.arrange(HOST, minimum_notice_minutes=24 * 60)
        item = incoming(held("mine"), time=made.clock())
        made.clock.move(timedelta(seconds=50))

        assert check(made, item) == [DONE]
        assert told(made) == [("hold-approved", None)]

    @pytest.mark.parametrize(
        ("from_", "to", "free"),
        [(-2, -0.5, True), (-2, -0.4, False), (1.25, 2, True), (1.2, 2, False), (-2, 0, False), (1, 2, False)],
    )
    def test_buffers_keep_a_distance_to_what_the_calendar_has(self, from_: float, to: float, free: bool) -> None:
        made = connected()
        made.rules.arrange(HOST, buffer_before_minutes=30, buffer_after_minutes=15)
        made.google.add_outside(CALENDAR, SOON + from_ * HOUR, SOON + to * HOUR)
        check(made, held("mine"))

        assert told(made) == [("hold-approved", None) if free else ("hold-refused", "host-busy")]

    def test_without_the_rules_nothing_is_decided(self) -> None:
        made = connected()
        made.rules.away = True

        assert check(made, held("one"), held("two")) == [Retry(Reason.STORE_UNAVAILABLE)] * 2
        assert told(made) == []


def moving(start: datetime, from_: datetime, hours: float = 1) -> BookingHeld:
    """A hold of one hour for a booking that has its time from `from_` on now."""
    old = TimeSpan(start=from_, end=from_ + hours * HOUR)
    return msgspec.structs.replace(held("mine", start, version=3), moves=old)


class TestMoves:
    @pytest.mark.parametrize("provider", ["google", "microsoft"])
    @pytest.mark.parametrize("shift", [-0.5, 0.5, 0, 1])
    def test_its_own_entry_is_not_in_its_way(self, provider: Any, shift: float) -> None:
        made = connected(provider)
        made.rules.arrange(HOST, buffer_before_minutes=15, buffer_after_minutes=15)
        made.provider(provider).add_outside(f"{provider}-of-{HOST}", SOON, SOON + HOUR)

        assert check(made, moving(SOON + shift * HOUR, SOON)) == [DONE]
        assert told(made) == [("hold-approved", None)]

    @pytest.mark.parametrize("provider", ["google", "microsoft"])
    def test_a_new_time_that_the_host_has_taken_is_refused(self, provider: Any) -> None:
        made = connected(provider)
        made.provider(provider).add_outside(f"{provider}-of-{HOST}", SOON, SOON + HOUR)
        made.provider(provider).add_outside(f"{provider}-of-{HOST}", SOON + HOUR, SOON + 2 * HOUR)
        check(made, moving(SOON + HOUR / 2, SOON))

        assert told(made) == [("hold-refused", "host-busy")]

    def test_where_entries_are_told_apart_another_one_at_its_old_time_counts(self) -> None:
        made = connected("microsoft")
        made.microsoft.add_outside(f"microsoft-of-{HOST}", SOON, SOON + HOUR)
        made.microsoft.add_outside(f"microsoft-of-{HOST}", SOON, SOON + HOUR)
        check(made, moving(SOON + HOUR / 2, SOON))

        assert told(made) == [("hold-refused", "host-busy")]

    def test_another_calendar_that_is_busy_at_its_old_time_counts(self) -> None:
        made = world()
        one, other = calendar_of(HOST, name="one"), calendar_of(HOST, name="other", token="token-one")
        made.grants.connect(HOST, one, msgspec.structs.replace(other, written=False))
        for name in ("one", "other"):
            made.google.add_calendar(name, "token-one")
            made.google.add_outside(name, SOON, SOON + HOUR)
        check(made, moving(SOON + HOUR / 2, SOON))

        assert told(made) == [("hold-refused", "host-busy")]

    def test_without_a_move_the_same_entry_counts(self) -> None:
        made = connected("microsoft")
        made.microsoft.add_outside(f"microsoft-of-{HOST}", SOON, SOON + HOUR)
        check(made, held("mine", SOON + HOUR / 2))

        assert told(made) == [("hold-refused", "host-busy")]

    def test_one_moves_and_its_neighbour_does_not(self) -> None:
        made = connected()
        made.google.add_outside(CALENDAR, SOON, SOON + HOUR)
        check(made, moving(SOON + HOUR / 2, SOON), held("other", SOON + HOUR / 2))

        assert told(made) == [("hold-approved", None), ("hold-refused", "host-busy")]


@pytest.mark.parametrize(
    "fact",
    [
        CalendarReconnectNeeded(
            host=HOST, provider="google", connection=connection_id("one"), reason=Reason.RECONNECT_NEEDED
        ),
        HostCalendarsChanged(host=HOST),
    ],
)
def test_a_change_of_connection_or_calendars_is_noticed(fact: CalendarReconnectNeeded | HostCalendarsChanged) -> None:
    made = connected(snapshot_seconds=60)
    look(made)

    assert forget_access([incoming(fact), incoming(fact)], made.desk) == [DONE, DONE]
    assert set(made.grants.forgotten) == {HOST}
    look(made)
    assert len(made.google.calls) == 2, "its snapshots are gone too"


def look(made: World) -> None:
    """Ask about the slots of a day."""
    find_slots(HOST, Wanted(Window(SOON, SOON + 12 * HOUR), HOUR), made.desk)


class TestLive:
    def test_a_snapshot_never_answers_a_hold(self) -> None:
        made = connected(snapshot_seconds=3600)
        look(made)
        made.google.add_outside(CALENDAR, SOON, SOON + HOUR)
        check(made, held("mine"))

        assert told(made) == [("hold-refused", "host-busy")]

    def test_a_refusal_is_not_offered_again_from_a_snapshot(self) -> None:
        made = connected(snapshot_seconds=3600)
        look(made)
        made.google.add_outside(CALENDAR, SOON, SOON + HOUR)
        check(made, held("mine"))

        found = find_slots(HOST, Wanted(Window(SOON, SOON + 2 * HOUR), HOUR), made.desk)
        assert [slot.start for slot in found.slots] == [SOON + HOUR]

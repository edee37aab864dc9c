"""Which calendars of a host are checked, and which one is written to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.providers.errors import GrantDead, Unreachable
from services.auth import choices, handlers
from services.auth.choices import Choice, Chosen
from services.auth.domain import ACTIVE, Connection, State
from tests.unit.auth.doubles import START, World, world
from tests.unit.auth.test_connecting import connect

GROUP = "c_0123@group.calendar.google.com"
OPAQUE = "AAMkAGI2NmYx-_w=="


@pytest.fixture
def at() -> World:
    return world()


@pytest.fixture
def both(at: World) -> tuple[str, str]:
    """The connections of a host at Google and, made later, at Microsoft."""
    google = connect(at, provider="google")
    at.clock.sleep(1)
    return google.id, connect(at, provider="microsoft").id


def row(connection: str, calendar: str = "primary", checked: bool = True, written: bool = False) -> dict[str, object]:
    return {"connection": connection, "calendar": calendar, "checked": checked, "written": written}


def shown(at: World) -> list[tuple[str, str, bool, bool]]:
    rows = handlers.calendars("dr-example", at.desk)
    return [(r["connection"], r["calendar"], r["checked"], r["written"]) for r in rows]


def handed_out(at: World) -> list[tuple[str, str, bool, bool]]:
    rows = handlers.access_tokens(["dr-example"], None, at.desk)["dr-example"]["calendars"]
    return [(r["connection"], r["calendar"], r["checked"], r["written"]) for r in rows]


def test_at_first_all_primaries_are_checked_and_the_oldest_is_written(at: World, both: tuple[str, str]) -> None:
    google, microsoft = both
    assert shown(at) == [(google, "primary", True, True), (microsoft, "primary", True, False)]
    assert handed_out(at) == shown(at)


def test_setting_them(at: World, both: tuple[str, str]) -> None:
    google, microsoft = both
    wanted = [row(google), row(google, GROUP), row(microsoft, OPAQUE, checked=False, written=True)]
    assert handlers.set_calendars("dr-example", wanted, at.desk) == wanted
    expected = [
        (google, "primary", True, False),
        (google, GROUP, True, False),
        (microsoft, OPAQUE, False, True),
    ]
    assert shown(at) == expected
    assert handed_out(at) == expected
    assert at.calendars.asked == [GROUP, OPAQUE]  # those that are new, and only those
    event = at.told.events[-1]
    assert (event["type"], event["subject"], event["data"]) == (
        "host-calendars-changed",
        "dr-example",
        {"host": "dr-example"},
    )


def test_setting_the_same_again_tells_nobody(at: World, both: tuple[str, str]) -> None:
    wanted = [row(both[0], written=True), row(both[1])]
    handlers.set_calendars("dr-example", wanted, at.desk)
    assert [fact[0] for fact in at.told.facts()] == ["calendar-connected"] * 2
    handlers.set_calendars("dr-example", [row(both[0]), row(both[1], written=True)], at.desk)
    handlers.set_calendars("dr-example", [row(both[1], written=True), row(both[0])], at.desk)
    assert [e["id"] for e in at.told.events[2:]] == ["dr-example.calendars.1.host-calendars-changed"]


def test_a_calendar_that_is_neither_checked_nor_written_is_not_handed_out(at: World, both: tuple[str, str]) -> None:
    google, microsoft = both
    handlers.set_calendars("dr-example", [row(google, written=True), row(microsoft, checked=False)], at.desk)
    assert handed_out(at) == [(google, "primary", True, True)]
    assert (microsoft, "primary", False, False) in shown(at)


def test_a_connection_made_later_adds_its_primary_and_does_not_take_over(at: World) -> None:
    first = connect(at, provider="google").id
    handlers.set_calendars("dr-example", [row(first), row(first, GROUP, written=True)], at.desk)
    at.clock.sleep(1)
    later = connect(at, provider="microsoft").id
    assert shown(at) == [
        (first, "primary", True, False),
        (first, GROUP, True, True),
        (later, "primary", True, False),
    ]


def test_disconnecting_the_written_one_moves_it_to_the_oldest_that_is_left(at: World, both: tuple[str, str]) -> None:
    google, microsoft = both
    handlers.disconnect("dr-example", google, at.desk)
    assert shown(at) == [(microsoft, "primary", True, True)]
    assert [fact[0] for fact in at.told.facts()[-2:]] == ["calendar-disconnected", "host-calendars-changed"]


def test_disconnecting_another_one_moves_nothing(at: World, both: tuple[str, str]) -> None:
    handlers.disconnect("dr-example", both[1], at.desk)
    assert at.told.facts()[-1][0] == "calendar-disconnected"


def test_a_dead_connection_that_was_left_out_does_not_come_back_when_another_ends(at: World) -> None:
    # given three connections: the oldest died and was left out, the second is written to
    dead = connect(at, provider="google")
    at.clock.sleep(1)
    second = connect(at, provider="microsoft").id
    at.clock.sleep(3600)
    at.google.trouble = [GrantDead("invalid-grant")]
    handlers.access_tokens(["dr-example"], None, at.desk)
    at.google.identity = "person-2"
    third = connect(at, provider="google").id
    handlers.set_calendars("dr-example", [row(second, written=True), row(third)], at.desk)
    # when the one that is written to ends
    handlers.disconnect("dr-example", second, at.desk)
    # then the one that is in use takes over, and the host can be booked
    assert shown(at) == [(third, "primary", True, True)]
    assert handlers.access_tokens(["dr-example"], None, at.desk)["dr-example"]["state"] == "connected"
    assert dead.id not in str(handed_out(at))


def test_a_dead_connection_can_be_left_out(at: World, both: tuple[str, str]) -> None:
    google, microsoft = both
    at.clock.sleep(3600)
    at.microsoft.trouble = [GrantDead("invalid-grant")]
    assert handlers.access_tokens(["dr-example"], None, at.desk)["dr-example"]["state"] == "reconnect-needed"
    handlers.set_calendars("dr-example", [row(google, written=True)], at.desk)
    access = handlers.access_tokens(["dr-example"], None, at.desk)["dr-example"]
    assert (access["state"], access["why"], len(access["calendars"])) == ("connected", None, 1)
    # operators still see it
    (host,) = handlers.hosts(at.desk)
    assert [c["state"] for c in host["connections"]] == ["connected", "reconnect-needed"]
    assert host["connections"][1]["connection"] == microsoft


@pytest.mark.parametrize(
    ("calendar", "provider"),
    [
        ("ada@example.com", "google"),
        ("ada.example@gmail.com", "google"),
        ("calendar.google.com", "google"),
        ("ada@example.com.calendar.google.com.example.com", "google"),
        ("", "google"),
        ("../x@group.calendar.google.com", "google"),
        (f"{'a' * 201}@group.calendar.google.com", "google"),
        ("ada@example.com", "microsoft"),
        ("me/calendars", "microsoft"),
        ("", "microsoft"),
        ("A" * 513, "microsoft"),
    ],
)
def test_a_calendar_by_a_name_that_is_none(at: World, both: tuple[str, str], calendar: str, provider: str) -> None:
    connection = both[0] if provider == "google" else both[1]
    wanted = [row(both[0], written=True), row(connection, calendar)]
    with pytest.raises(handlers.BadQuestion, match=rf"^calendars\[1\].calendar: at {provider}") as refused:
        handlers.set_calendars("dr-example", wanted, at.desk)
    assert "ada" not in str(refused.value)
    assert at.calendars.asked == []


def test_lists_that_cannot_be(at: World, both: tuple[str, str]) -> None:
    google, microsoft = both
    other = connect_other(at)
    bad: list[tuple[object, str]] = [
        ([], "exactly one must be `written`"),
        ([row(google), row(microsoft)], "exactly one must be `written`"),
        ([row(google, written=True), row(microsoft, written=True)], "exactly one must be `written`"),
        ([row(google, written=True), row(google)], "each at most once"),
        ([row(google, written=True), *[row(google, f"{n}{GROUP}") for n in range(50)]], "at most 50"),
        ([row(other, written=True)], "calendars[0].connection: one of this host's"),
        ([row("cn_x", written=True)], "calendars[0].connection: one of this host's"),
        ([{**row(google, written=True), "colour": "red"}], "calendars: a list of"),
        ([{"connection": {"$ne": None}}], "calendars: a list of"),
        ("primary", "calendars: a list of"),
        (None, "calendars: a list of"),
    ]
    before = shown(at)
    for wanted, why in bad:
        with pytest.raises(handlers.BadQuestion) as refused:
            handlers.set_calendars("dr-example", wanted, at.desk)
        assert why in str(refused.value)
    assert (shown(at), at.calendars.asked) == (before, [])
    for host in ("nobody", "Ada Example", None):
        with pytest.raises(handlers.BadQuestion, match=r"^host"):
            handlers.set_calendars(host, [row(google, written=True)], at.desk)


def connect_other(at: World) -> str:
    at.google.identity = "person-2"
    return connect(at, "dr-other").id


def test_a_disconnected_connection_offers_no_calendar(at: World, both: tuple[str, str]) -> None:
    handlers.disconnect("dr-example", both[1], at.desk)
    with pytest.raises(handlers.BadQuestion, match=r"^calendars\[1\].connection"):
        handlers.set_calendars("dr-example", [row(both[0], written=True), row(both[1])], at.desk)


def test_a_calendar_that_cannot_be_read_is_not_accepted(at: World, both: tuple[str, str]) -> None:
    google, _ = both
    wanted = [row(google, written=True), row(google, GROUP)]
    at.calendars.unreadable = {GROUP: "calendar-not-found"}
    why = rf"^calendars\[1\]: connection {google} cannot read it: calendar-not-found$"
    with pytest.raises(handlers.BadQuestion, match=why):
        handlers.set_calendars("dr-example", wanted, at.desk)
    at.calendars.unreadable = {}
    at.calendars.trouble = [Unreachable("timed-out")]
    with pytest.raises(handlers.BadQuestion, match=r"cannot read it: timed-out$"):
        handlers.set_calendars("dr-example", wanted, at.desk)
    assert len(shown(at)) == 2
    assert handlers.set_calendars("dr-example", wanted, at.desk) == wanted


def test_a_new_calendar_of_a_dead_connection_is_not_accepted(at: World, both: tuple[str, str]) -> None:
    google, microsoft = both
    at.clock.sleep(3600)
    at.microsoft.trouble = [GrantDead("invalid-grant")]
    wanted = [row(google, written=True), row(microsoft, OPAQUE)]
    with pytest.raises(handlers.BadQuestion, match=r"cannot read it: reconnect-needed$"):
        handlers.set_calendars("dr-example", wanted, at.desk)


def test_two_who_set_at_once_both_get_their_turn(at: World, both: tuple[str, str]) -> None:
    google, microsoft = both
    original = at.store.choose
    first = [row(google), row(microsoft, written=True)]
    second = [row(google, GROUP, written=True)]

    def overtaken(*args: object) -> bool:
        at.store.choose = original  # type: ignore[method-assign]  # once
        handlers.set_calendars("dr-example", second, at.desk)
        return original(*args)  # type: ignore[arg-type]  # handed through

    at.store.choose = overtaken  # type: ignore[method-assign,assignment]  # somebody else writes first
    assert handlers.set_calendars("dr-example", first, at.desk) == first
    ids = [e["id"] for e in at.told.events if e["type"] == "host-calendars-changed"]
    assert ids == [f"dr-example.calendars.{n}.host-calendars-changed" for n in (1, 2)]


connections = st.lists(
    st.builds(
        Connection,
        id=st.sampled_from(["cn_a", "cn_b", "cn_c", "cn_d"]),
        host=st.just("dr-example"),
        provider=st.sampled_from(["google", "microsoft"]),
        state=st.sampled_from([s for s in State if s not in (State.UNKNOWN, State.INVITED)]),
        made=st.just(START),
        since=st.just(START),
        version=st.just(1),
    ),
    unique_by=lambda c: c.id,
)
listed = st.lists(
    st.builds(
        Choice,
        st.sampled_from(["cn_a", "cn_b", "cn_c", "cn_d"]),
        st.sampled_from(["primary", "x"]),
        st.booleans(),
        st.just(False),
    ),
    unique_by=lambda c: (c.connection, c.calendar),
)


@given(connections, listed, st.sets(st.sampled_from(["cn_a", "cn_b", "cn_c", "cn_d"])))
def test_whatever_comes_and_goes_one_calendar_is_written(
    owned: list[Connection], wanted: list[Choice], decided: set[str]
) -> None:
    chosen = Chosen(1, tuple(wanted), tuple({*decided, *(c.connection for c in wanted)}))
    active = {c.id for c in owned if c.state in ACTIVE}
    standing = choices.standing(chosen, owned)
    assert sum(c.written for c in standing) == (1 if active else 0)
    assert {c.connection for c in standing} <= active
    assert len({(c.connection, c.calendar) for c in standing}) == len(standing)
    assert {c.connection for c in standing} >= active - set(chosen.decided)

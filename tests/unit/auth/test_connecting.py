"""From the link to the connection, and every way in which that is refused."""

import hmac
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from libs.providers.errors import GrantDead, Unreachable
from services.auth import arriving, connecting, domain, handlers, invitations
from services.auth.connecting import Departure
from services.auth.domain import MOST_CONNECTIONS, Connection, State
from services.auth.endings import Ended, Ending
from services.auth.oauth import Suspicious
from tests.unit.auth.doubles import World, world


@pytest.fixture
def at() -> World:
    return world()


def invite(at: World, host: str = "dr-example", provider: str | None = None) -> str:
    url: str = handlers.connect_link(host, provider, at.desk)["url"]
    return url.rpartition("/")[2]


def state_of(departure: Departure) -> str:
    return parse_qs(urlsplit(departure.url).query)["state"][0]


def connect(at: World, host: str = "dr-example", provider: str = "google") -> Connection:
    departure = connecting.depart(invite(at, host), provider, None, at.desk)
    params = {"state": state_of(departure), "code": "c"}
    return arriving.arrive(provider, params, departure.browser, at.desk)  # type: ignore[arg-type]  # a literal


def refused(ending: Ending) -> "pytest.RaisesExc[Ended]":
    return pytest.raises(Ended, match=f"^{ending.value}$")


def test_a_link_names_no_host_and_ends_when_it_says(at: World) -> None:
    answer = handlers.connect_link("dr-example", None, at.desk)
    assert answer["url"].startswith("https://valet.example/connect/")
    assert "dr-example" not in answer["url"]
    assert answer["expires_at"] == (at.clock() + timedelta(minutes=30)).isoformat()
    assert handlers.access_tokens(["dr-example"], None, at.desk)["dr-example"]["state"] == "invited"


@pytest.mark.parametrize(
    "host", ["", "Ada Example", "ada@example.com", "a" * 65, {"$ne": None}, None, 5, "dr-example\n"]
)
def test_a_host_that_is_none_is_refused_without_quoting_it(at: World, host: object) -> None:
    with pytest.raises(handlers.BadQuestion, match=r"^host: 1 to 64"):
        handlers.connect_link(host, None, at.desk)
    assert at.store.known == {}


def test_a_provider_that_is_none_is_refused(at: World) -> None:
    with pytest.raises(handlers.BadQuestion, match=r"^provider"):
        handlers.connect_link("dr-example", "icloud", at.desk)


def test_connecting(at: World) -> None:
    made = connect(at)
    assert (made.host, made.provider, made.state) == ("dr-example", "google", State.CONNECTED)
    assert made.id.startswith("cn_")
    assert len(made.id) == 29
    assert at.told.facts() == [("calendar-connected", "dr-example", "connected")]
    assert at.store.links == {}
    assert at.store.flows == {}


def test_nothing_readable_is_kept_of_tokens_and_account(at: World) -> None:
    made = connect(at)
    for secret in ("refresh-1", "access-1-0", "person-1", "made-up verifier"):
        assert secret not in repr(vars(at.store))
        assert secret.encode() not in (made.sealed or b"")
        assert secret not in repr(at.told.events)


@pytest.mark.parametrize("place", [0, 5, 30, -1, -20])
def test_an_altered_link_is_refused(at: World, place: int) -> None:
    token = list(invite(at))
    token[place] = "A" if token[place] != "A" else "B"
    with refused(Ending.LINK_WRONG):
        invitations.open_link("".join(token), "connect", at.desk)


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "é", "x" * 4000, "\udc80.1.x"])
def test_nonsense_is_no_link(at: World, token: str) -> None:
    with refused(Ending.LINK_WRONG):
        invitations.open_link(token, "connect", at.desk)


def test_signatures_are_compared_in_constant_time(at: World, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def watched(one: bytes, other: bytes) -> bool:
        compared.append(len(one))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", watched)
    invitations.open_link(invite(at), "connect", at.desk)
    assert compared == [43]


def test_an_expired_link_is_over(at: World) -> None:
    token = invite(at)
    at.clock.sleep(1801)
    with refused(Ending.LINK_OVER):
        invitations.open_link(token, "connect", at.desk)


def test_a_used_link_is_over(at: World) -> None:
    token = invite(at)
    for expected in (None, Ending.LINK_OVER):
        if expected is None:
            departure = connecting.depart(token, "google", None, at.desk)
            arriving.arrive("google", {"state": state_of(departure), "code": "c"}, departure.browser, at.desk)
        else:
            with refused(expected):
                connecting.depart(token, "google", None, at.desk)


def test_two_flows_of_one_link_give_one_connection(at: World) -> None:
    token = invite(at)
    departures = [connecting.depart(token, "google", None, at.desk) for _ in range(2)]
    first, second = ({"state": state_of(d), "code": "c"} for d in departures)
    arriving.arrive("google", first, departures[0].browser, at.desk)
    at.google.identity = "person-2"
    with refused(Ending.LINK_OVER):
        arriving.arrive("google", second, departures[1].browser, at.desk)
    assert len(at.store.kept) == 1
    assert len(at.google.exchanged) == 1


def test_a_link_for_one_provider_offers_no_other(at: World) -> None:
    token = invite(at, provider="google")
    assert connecting.offered(invitations.open_link(token, "connect", at.desk)) == ("google",)
    with refused(Ending.LINK_WRONG):
        connecting.depart(token, "microsoft", None, at.desk)


@pytest.mark.parametrize(
    "change", ["no-state", "foreign-state", "no-cookie", "foreign-cookie", "other-provider", "issuer"]
)
def test_a_callback_that_does_not_fit_is_refused_before_the_exchange(at: World, change: str) -> None:
    departure = connecting.depart(invite(at), "google", None, at.desk)
    params = {"state": state_of(departure), "code": "c", "iss": "good"}
    provider, browser = "google", departure.browser
    match change:
        case "no-state":
            del params["state"]
        case "foreign-state":
            params["state"] = domain.new_secret()
        case "no-cookie":
            browser = ""
        case "foreign-cookie":
            browser = domain.new_secret()
        case "other-provider":
            provider = "microsoft"
        case "issuer":
            params["iss"] = "https://elsewhere.example.com"
    with refused(Ending.STATE_WRONG):
        arriving.arrive(provider, params, browser, at.desk)  # type: ignore[arg-type]  # a literal
    assert at.google.exchanged == at.microsoft.exchanged == []
    assert at.store.kept == {}


def test_a_victims_state_in_another_browser_does_not_spoil_it_for_the_victim(at: World) -> None:
    departure = connecting.depart(invite(at), "google", None, at.desk)
    params = {"state": state_of(departure), "code": "c"}
    with refused(Ending.STATE_WRONG):
        arriving.arrive("google", params, domain.new_secret(), at.desk)
    assert arriving.arrive("google", params, departure.browser, at.desk).state is State.CONNECTED


def test_a_state_works_once(at: World) -> None:
    departure = connecting.depart(invite(at), "google", None, at.desk)
    params = {"state": state_of(departure), "code": "c"}
    arriving.arrive("google", params, departure.browser, at.desk)
    with refused(Ending.STATE_WRONG):
        arriving.arrive("google", params, departure.browser, at.desk)
    assert len(at.google.exchanged) == 1


def test_a_state_expires(at: World) -> None:
    departure = connecting.depart(invite(at), "google", None, at.desk)
    at.clock.sleep(601)
    with refused(Ending.STATE_WRONG):
        arriving.arrive("google", {"state": state_of(departure), "code": "c"}, departure.browser, at.desk)
    assert at.google.exchanged == []


def test_a_sealed_verifier_moved_to_another_flow_does_not_open(at: World) -> None:
    one, two = (connecting.depart(invite(at), "google", None, at.desk) for _ in range(2))
    first, second = (domain.digest(state_of(d)) for d in (one, two))
    at.store.flows[second] = replace(at.store.flows[second], sealed=at.store.flows[first].sealed)
    with refused(Ending.UNTRUSTED):
        arriving.arrive("google", {"state": state_of(two), "code": "c"}, two.browser, at.desk)


def test_the_host_says_no_and_may_try_again(at: World) -> None:
    token = invite(at)
    departure = connecting.depart(token, "google", None, at.desk)
    params = {"state": state_of(departure), "error": "access_denied"}
    with refused(Ending.DENIED):
        arriving.arrive("google", params, departure.browser, at.desk)
    assert invitations.open_link(token, "connect", at.desk).host == "dr-example"
    assert at.google.exchanged == []


@pytest.mark.parametrize(
    ("params", "ending"),
    [
        ({"error": "server_error"}, Ending.UNAVAILABLE),
        ({"error": "temporarily_unavailable"}, Ending.UNAVAILABLE),
        ({"error": "unauthorized_client"}, Ending.UNAVAILABLE),
        ({"error": "access_denied", "code": "c"}, Ending.DENIED),
        ({"error": "<script>"}, Ending.UNAVAILABLE),
        ({}, Ending.STATE_WRONG),
        ({"code": ""}, Ending.STATE_WRONG),
    ],
)
def test_who_did_not_say_no_is_not_told_so(at: World, params: dict[str, str], ending: Ending) -> None:
    departure = connecting.depart(invite(at), "google", None, at.desk)
    with refused(ending):
        arriving.arrive("google", {"state": state_of(departure), **params}, departure.browser, at.desk)
    assert at.google.exchanged == []


def test_a_host_has_no_more_connections_than_can_be_read_at_once(at: World) -> None:
    # given a host with as many as there may be
    for number in range(MOST_CONNECTIONS):
        at.google.identity = f"person-{number}"
        connect(at)
    # when one more account comes, then it is refused, what it granted is given back, and its link still works
    at.google.identity = "one-more"
    token = invite(at)
    departure = connecting.depart(token, "google", None, at.desk)
    with refused(Ending.TOO_MANY):
        arriving.arrive("google", {"state": state_of(departure), "code": "c"}, departure.browser, at.desk)
    assert at.google.revoked == [f"refresh-{MOST_CONNECTIONS + 1}"]
    assert invitations.open_link(token, "connect", at.desk).host == "dr-example"
    # but one that is connected already may be renewed
    at.google.identity = "person-0"
    assert connect(at).state is State.CONNECTED


def test_fewer_permissions_than_asked_are_given_back(at: World) -> None:
    at.google.missing = ("calendar.events.owned",)
    with refused(Ending.NOT_ENOUGH):
        connect(at)
    assert at.google.revoked == ["refresh-1"]
    assert at.store.kept == {}


def test_fewer_permissions_do_not_take_a_working_connection_away(at: World) -> None:
    connect(at)
    at.google.missing = ("calendar.events.owned",)
    with refused(Ending.NOT_ENOUGH):
        connect(at)
    assert at.google.revoked == []
    assert [c.state for c in at.store.kept.values()] == [State.CONNECTED]


def test_an_account_of_another_host_is_refused_and_left_alone(at: World) -> None:
    first = connect(at, "dr-example")
    with refused(Ending.OWNED_BY_ANOTHER):
        connect(at, "dr-other")
    assert at.google.revoked == []
    assert at.store.kept == {first.id: first}


def test_the_same_subject_at_two_providers_is_two_accounts(at: World) -> None:
    connect(at, "dr-example", "google")
    connect(at, "dr-other", "microsoft")
    assert len(at.store.kept) == 2


def test_connecting_again_renews_the_same_connection(at: World) -> None:
    first = connect(at)
    second = connect(at)
    assert second.id == first.id
    assert second.version == first.version + 1
    assert at.told.facts()[-1] == ("calendar-connected", "dr-example", "reconnected")
    rows = handlers.access_tokens(["dr-example"], None, at.desk)["dr-example"]["calendars"]
    assert [row["token"] for row in rows] == ["access-2-0"]


@pytest.mark.parametrize(
    ("trouble", "ending"),
    [
        (Suspicious("id-token-nonce"), Ending.UNTRUSTED),
        (GrantDead("invalid-grant"), Ending.UNTRUSTED),
        (Unreachable("timed-out"), Ending.UNAVAILABLE),
    ],
)
def test_an_exchange_that_fails_connects_nothing_and_leaves_the_link(
    at: World, trouble: Suspicious | Unreachable, ending: Ending
) -> None:
    token = invite(at)
    at.google.trouble = [trouble]
    departure = connecting.depart(token, "google", None, at.desk)
    with refused(ending):
        arriving.arrive("google", {"state": state_of(departure), "code": "c"}, departure.browser, at.desk)
    assert at.store.kept == {}
    assert invitations.open_link(token, "connect", at.desk).host == "dr-example"


class TestLists:
    """Hosts for operators, page by page."""

    @pytest.fixture
    def at(self) -> World:
        made = world()
        connect(made, "dr-c", "google")
        made.microsoft.identity = "person-2"
        connect(made, "dr-a", "microsoft")
        handlers.connect_link("dr-b", None, made.desk)
        return made

    def test_by_name_and_by_pages(self, at: World) -> None:
        first = handlers.list_hosts({"most": 2}, at.desk)
        assert ([row["host"] for row in first["hosts"]], first["more"]) == (["dr-a", "dr-b"], 1)
        rest = handlers.list_hosts({"most": 2, "after": "dr-b"}, at.desk)
        assert ([row["host"] for row in rest["hosts"]], rest["more"]) == (["dr-c"], 0)
        assert first["hosts"] + rest["hosts"] == handlers.hosts(at.desk)

    @pytest.mark.parametrize(
        ("asked", "names"),
        [
            ({"host": "dr-b"}, ["dr-b"]),
            ({"host": "dr-nobody"}, []),
            ({"provider": "microsoft"}, ["dr-a"]),
            ({"state": "invited"}, ["dr-b"]),
            ({"state": "connected", "provider": "google"}, ["dr-c"]),
            ({"state": "reconnect-needed"}, []),
        ],
    )
    def test_only_who_is_wanted(self, at: World, asked: dict[str, str], names: list[str]) -> None:
        assert [row["host"] for row in handlers.list_hosts(asked, at.desk)["hosts"]] == names

    @pytest.mark.parametrize(
        "asked",
        [{"most": 0}, {"most": 1001}, {"provider": "icloud"}, {"state": "x"}, {"hosts": 1}, {"host": {"$ne": 1}}],
    )
    def test_what_cannot_be_is_refused(self, at: World, asked: dict[str, object]) -> None:
        with pytest.raises(handlers.BadQuestion, match="all may be missing"):
            handlers.list_hosts(asked, at.desk)

    def test_connections_are_counted(self, at: World) -> None:
        rows = handlers.connections(at.desk)
        assert [(row["provider"], row["state"], row["count"]) for row in rows] == [
            ("google", "connected", 1),
            ("microsoft", "connected", 1),
        ]
        assert rows[0]["oldest_proof"] == at.clock().isoformat()

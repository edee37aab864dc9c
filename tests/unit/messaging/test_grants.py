"""Access to calendars: asked for together, kept for a short while, and never longer than its tokens last."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from libs.contracts.questions import CalendarAccess, HostAccess
from libs.messaging.errors import RpcFailed, ServiceUnavailable
from libs.messaging.grants import KEEP, MARGIN, AuthUnavailable, CachedGrants
from libs.testing.clock import Clock
from libs.testing.grants import calendar_of


class Auth:
    """The other side of `auth.access_tokens`."""

    def __init__(self, **hosts: HostAccess) -> None:
        self.hosts, self.asked, self.trouble = hosts, [], None  # type: tuple[Any, list[Any], Exception | None]

    def __call__(self, service: str, method: str, hosts: list[str], *more: Any, deadline: float | None) -> Any:
        assert (service, method) == ("auth", "access_tokens")
        self.asked.append((hosts, *more))
        self.deadline = deadline
        if self.trouble:
            raise self.trouble
        return msgspec.to_builtins({host: self.hosts[host] for host in hosts if host in self.hosts})


def access(host: str = "a", *, lasts: float = 3600, token: str | None = "") -> HostAccess:
    calendar = calendar_of(host, token=token)
    expires = Clock().seconds() + lasts
    return HostAccess(state="connected", calendars=[msgspec.structs.replace(calendar, expires_at=expires)])


def made(auth: Auth) -> tuple[CachedGrants, Clock]:
    clock = Clock()
    return CachedGrants(auth, clock.seconds), clock  # type: ignore[arg-type]  # asks like Ask


def test_a_batch_of_hosts_is_one_question() -> None:
    auth = Auth(a=access("a"), b=access("b"))
    grants, _ = made(auth)

    assert grants.of(["a", "b", "a"]) == {"a": access("a"), "b": access("b")}
    assert [hosts for hosts, *_ in auth.asked] == [["a", "b"]]


def test_what_is_known_is_kept_for_a_while_and_no_longer() -> None:
    auth = Auth(a=access("a"), b=access("b"))
    grants, clock = made(auth)
    grants.of(["a"])
    clock.move(timedelta(seconds=KEEP - 1))
    grants.of(["a", "b"])
    clock.move(timedelta(seconds=2))
    grants.of(["a", "b"])

    assert [hosts for hosts, *_ in auth.asked] == [["a"], ["b"], ["a"]]


def test_a_token_is_not_used_to_its_last_second() -> None:
    auth = Auth(a=access("a", lasts=MARGIN + 10))
    grants, clock = made(auth)
    grants.of(["a"])
    clock.move(timedelta(seconds=9))
    grants.of(["a"])
    assert len(auth.asked) == 1
    clock.move(timedelta(seconds=1))

    grants.of(["a"])
    assert len(auth.asked) == 2


@pytest.mark.parametrize(
    "odd",
    [
        access("a", token=None),
        access("a", lasts=1),
        HostAccess(state="reconnect-needed"),
        HostAccess(state="disconnected"),
    ],
)
def test_what_is_not_good_is_asked_for_again(odd: HostAccess) -> None:
    auth = Auth(a=odd)
    grants, _ = made(auth)
    grants.of(["a"])
    grants.of(["a"])

    assert len(auth.asked) == 2


def test_a_host_that_auth_does_not_know_is_unknown() -> None:
    grants, _ = made(Auth())

    assert grants.of(["nobody"]) == {"nobody": HostAccess(state="unknown")}


def test_what_was_forgotten_is_asked_for_anew() -> None:
    auth = Auth(a=access("a"))
    grants, _ = made(auth)
    grants.of(["a"])
    grants.forget("a")
    grants.forget("nobody")
    grants.of(["a"])

    assert len(auth.asked) == 2


def test_auth_is_told_which_token_was_not_accepted() -> None:
    auth = Auth(a=access("a"))
    grants, _ = made(auth)
    calendar: CalendarAccess = msgspec.structs.replace(calendar_of("a"), version=7)
    grants.forget("a", calendar)
    grants.of(["a"])
    grants.forget("a")
    grants.of(["a"])

    assert [more for _, *more in auth.asked] == [[{calendar.connection: 7}], [{}]]


@pytest.mark.parametrize("trouble", [ServiceUnavailable("x"), RpcFailed("Failed")])
def test_without_an_answer_nothing_is_known(trouble: Exception) -> None:
    auth = Auth(a=access("a"))
    grants, _ = made(auth)
    auth.trouble = trouble

    with pytest.raises(AuthUnavailable):
        grants.of(["a"])


@pytest.mark.parametrize(
    "answer", [None, 5, {"a": 5}, {"a": {"state": "well"}}, {"a": {"state": "connected", "calendars": {}}}]
)
def test_an_answer_that_makes_no_sense_is_none(answer: object) -> None:
    grants = CachedGrants(lambda *_, **__: answer)  # type: ignore[arg-type]  # asks like Ask

    with pytest.raises(AuthUnavailable):
        grants.of(["a"])


@pytest.mark.parametrize("within", [None, 1.5])
def test_whoever_has_little_time_says_so(within: float | None) -> None:
    auth = Auth(a=access("a"))
    grants, _ = made(auth)
    grants.of(["a"], within)

    assert auth.deadline == within


def test_what_was_rejected_is_remembered_of_so_many_hosts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    # given tokens of five hosts that a provider refused while auth is away
    monkeypatch.setattr("libs.messaging.grants.MOST", 3)
    auth = Auth()
    grants, _ = made(auth)
    for host in "abcde":
        grants.forget(host, calendar_of(host))
    # when auth is asked about all of them
    grants.of("abcde")
    # then it hears of the last three
    assert list(auth.asked[0][1]) == [calendar_of(host).connection for host in "cde"]


def test_a_renewed_token_is_still_known_by_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a token that is renewed
    monkeypatch.setattr("libs.messaging.grants.MOST", 3)
    auth = Auth(a=access(token="old"))
    grants, _ = made(auth)
    grants.of(["a"])
    auth.hosts["a"] = access(token="new")
    grants.forget("a")
    grants.of(["a"])
    # then both name the connection, and one that nobody gave names itself
    connection = calendar_of("a").connection
    assert [grants.connection(token) for token in ("old", "new", "foreign")] == [connection, connection, "foreign"]
    # when many more come, then the oldest are forgotten
    for token in ("newer", "newest"):
        auth.hosts["a"] = access(token=token)
        grants.forget("a")
        grants.of(["a"])
    assert [grants.connection(token) for token in ("old", "new")] == ["old", connection]

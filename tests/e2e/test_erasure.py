"""A person is erased on real parts: everywhere, whatever is killed meanwhile, and nobody else."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from pymongo.database import Database

from deploy.local.stack import Stack
from deploy.sandbox import browser
from deploy.sandbox.accounts import Provider
from libs.contracts import codec
from libs.crypto.errors import SealBroken
from libs.crypto.receipts import verify
from libs.messaging.letters import Letters
from libs.messaging.publisher import Outgoing, Publisher
from libs.mongo.client import Document, connect
from tests.conftest import settings_of
from tests.e2e.world import Heard, World, envelope, hear, tomorrow
from tests.integration.messaging.support import wait_until

PROVIDERS: tuple[Provider, ...] = ("google", "microsoft")
PATIENCE = 90  # seconds: mostly it takes six


def person(name: str) -> dict[str, Any]:
    """An invitee, with a word of their own in every text."""
    texts = {"name": f"{name.capitalize()} Example", "email": f"{name}@example.com", "fields": {"why": f"{name} asks"}}
    return {**texts, "time_zone": "America/New_York"}


def wanted(world: World, host: str, who: str, hours: int, /, **changes: Any) -> dict[str, Any]:
    """A request of this person's."""
    start = tomorrow() + timedelta(hours=hours)
    return world.request(host, start, invitee=person(who), title=f"{who} comes", **changes)


def booked(world: World, asked: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Emit requests, and wait until all stand in their calendars: request to booking."""
    heard, ids = Heard(), {request["id"] for request in asked}
    with world.tap() as tap:
        world.emit(asked)
        assert hear(
            tap,
            heard,
            lambda h: h.written() >= set(h.confirmed(asked)) and len(h.confirmed(asked)) == len(ids),
            PATIENCE,
        )
    return {fact["request"]["id"]: booking for booking, fact in heard.confirmed(asked).items()}


def receipts(heard: Heard, request: dict[str, Any]) -> list[dict[str, Any]]:
    """The receipts of an erasure."""
    return [e["data"] for e in heard.of("personal-data-erased") if e["data"]["request"]["id"] == request["id"]]


def finished(heard: Heard, request: dict[str, Any]) -> bool:
    return any(receipt["finished"] for receipt in receipts(heard, request))


def counts(receipt: dict[str, Any]) -> dict[str, tuple[str, int]]:
    return {step["what"]: (step["outcome"], step["count"]) for step in receipt["steps"]}


def whole(world: World, provider: Provider, account: str) -> str:
    """All that a provider still has of an account, bins included."""
    return json.dumps(world.sandbox.account(provider, account)).casefold()


def database(world: World, who: str) -> Database[Document]:
    """A service's own database, with its rights."""
    return connect(settings_of(world.stack, who), "tests")


def make_past(world: World, booking: str) -> None:
    """Have a booking be over, as if it had been made long ago."""
    start = datetime.now(UTC) - timedelta(days=3)
    span = {"start": start, "end": start + timedelta(minutes=30)}
    changed = database(world, "booking")["bookings"].update_one(
        {"_id": booking}, {"$set": {f"span.{n}": at for n, at in span.items()}}
    )
    assert changed.matched_count == 1
    assert database(world, "calendar-writer")["effects"].update_one({"_id": booking}, {"$set": span}).matched_count == 1


@pytest.fixture
def hosts(world: World, names: str) -> Iterator[dict[Provider, str]]:
    """A connected host at each provider; their account is <host>@example.com."""
    found = {provider: f"er-{provider}-{names}" for provider in PROVIDERS}
    for provider, host in found.items():
        world.connect(host, provider)
    yield found
    world.sandbox.clear_faults()


def letters(world: World) -> int:
    """How many dead letters booking has."""
    publisher = Publisher(world.link, 10)
    try:
        return len(Letters(world.link, publisher, ["booking"]).look(1000).letters)
    finally:
        publisher.close()


def write_letters(world: World, ada: str, ben: str) -> int:
    """A request that cannot be read from each of two people; how many dead letters there are then."""
    before = letters(world)
    for who, padding in ((ada, 100), (ben, 200)):
        body = f'{{"for": "{who}@example.com", "padding": "{"x" * padding}"'.encode()
        world.emitter.publish([Outgoing("events", "booking-requested", body, codec.STRUCTURED, {}, mandatory=True)])
    wait_until(lambda: letters(world) == before + 2, PATIENCE)
    return before + 2


def assert_receipt(world: World, receipt: dict[str, Any]) -> None:
    """It lists what was destroyed, and is genuine as it stands."""
    found = counts(receipt)
    assert found["backups"] == ("beyond-reach", 0)
    assert found["bookings-cancelled"] == ("done", 3)
    assert found["calendar-entries"] == ("done", 2)
    assert found["booking-documents"] == ("done", 3)
    assert found["data-key"] == ("done", 1)
    assert found["dead-letters"] == ("done", 1)
    keys = requests.get(f"{world.stack.urls()['pages']}/.well-known/jwks.json", verify=world.ca, timeout=10).json()
    verify(receipt, keys)
    with pytest.raises(SealBroken):
        verify(receipt | {"erased_at": "2030-01-01T00:00:00Z"}, keys)


def assert_only_ben_is_left(world: World, hosts: dict[Provider, str], ada: str, ben: str) -> None:
    """In calendars and bins."""
    for provider, host in hosts.items():
        kept = whole(world, provider, f"{host}@example.com")
        assert (ada in kept, ben in kept) == (False, True), provider
        assert len(world.entries(provider, f"{host}@example.com")) == 1


def assert_stored(world: World, person: str, gone: set[str], there: set[str]) -> None:
    """Which bookings the store knows, and that no key of the person's is left."""
    store = database(world, "booking")
    assert store["bookings"].count_documents({"_id": {"$in": list(gone)}}) == 0
    assert store["bookings"].count_documents({"_id": {"$in": list(there)}}) == len(there)
    assert store["keys"].count_documents({"_id": {"$regex": f"^{person}"}}) == 0
    assert not any(world.journeys(gone).values())


def test_a_person_is_erased_everywhere_and_everybody_else_stays(
    world: World, names: str, hosts: dict[Provider, str]
) -> None:
    ada, ben = f"ada{names}", f"ben{names}"
    # given two people with bookings at both providers, one of them over, and a dead letter of each ...
    asked = [wanted(world, host, who, hours) for host in hosts.values() for who, hours in ((ada, 0), (ben, 1))]
    bookings = booked(world, asked)
    make_past(world, bookings[asked[0]["id"]])
    before = write_letters(world, ada, ben)
    # ... and one that cannot be decided, since the calendar cannot be read
    world.sandbox.add_fault("google.freeBusy", "status", status=503, account=f"{hosts['google']}@example.com")
    held, heard = wanted(world, hosts["google"], ada, 5), Heard()
    with world.tap() as tap:
        world.emit([held])
        assert hear(
            tap, heard, lambda h: any(e["data"]["host"] == hosts["google"] for e in h.of("booking-held")), PATIENCE
        )
        # when she is erased, under another spelling of her address
        request = envelope("erasure-requested", {"email": f"{ada.upper()}@Example.com"})
        world.emit([request])
        assert hear(tap, heard, lambda h: finished(h, request), PATIENCE)
    # then the receipt says so
    (receipt,) = receipts(heard, request)
    assert_receipt(world, receipt)
    # and whoever asked for her bookings was told of each
    cancelled = [e["data"] for e in heard.of("booking-cancelled") if e["data"]["reason"] == "person-erased"]
    assert {data["request"]["id"] for data in cancelled} == {each["id"] for each in (asked[0], asked[2], held)}
    # and nothing of her is left, in calendars, bins, store and letters; all of him is
    assert_only_ben_is_left(world, hosts, ada, ben)
    bens = {bookings[asked[1]["id"]], bookings[asked[3]["id"]]}
    assert_stored(world, receipt["person"], {*bookings.values(), *(d["booking"] for d in cancelled)} - bens, bens)
    assert letters(world) == before - 1
    world.sandbox.clear_faults()
    assert_late_is_turned_away(
        world, [wanted(world, hosts["microsoft"], ada, hours) for hours in (7, 8)], request, receipt, asked[2]
    )


def assert_late_is_turned_away(
    world: World, requests_: list[dict[str, Any]], erasure: dict[str, Any], receipt: dict[str, Any], old: dict[str, Any]
) -> None:
    """What she asked for before, and comes late, is turned away, while she can begin anew; the same erasure has the same answer."""
    long_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    late, new, heard = {**requests_[0], "time": long_ago}, requests_[1], Heard()
    with world.tap() as tap:
        world.emit([late, old, new, erasure])
        assert hear(
            tap, heard, lambda h: all(h.outcome(r["id"]) for r in (late, new)) and receipts(h, erasure), PATIENCE
        )
    assert [heard.outcome(r["id"])["data"].get("reason") for r in (late, new)] == ["person-erased", None]  # type: ignore[index]  # both heard
    assert receipts(heard, erasure) == [receipt]


@pytest.fixture
def hasty(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever starts booking in this test starts it with little patience; afterwards it is stopped, for the next test to start."""
    monkeypatch.setenv("VALET_ERASURE_PATIENCE", "2")
    yield
    monkeypatch.undo()
    stack.stop_part("booking")


def test_an_erasure_goes_on_after_kills_and_waits_for_a_host_who_is_away(
    world: World, names: str, hosts: dict[Provider, str], hasty: None
) -> None:
    # given a person with several bookings at both hosts, one of whom is away
    ada, heard = f"eve{names}", Heard()
    booked(world, [wanted(world, host, ada, hours) for host in hosts.values() for hours in range(3)])
    account = f"{hosts['google']}@example.com"
    world.sandbox.revoke_grant("google", account)
    world.sandbox.expire_access_tokens("google", account)
    request = envelope("erasure-requested", {"email": f"{ada}@example.com"})
    with world.tap() as tap:
        # when the erasure is asked for, and the two services that do it are killed as soon as they have begun
        world.emit([request])
        assert hear(tap, heard, lambda h: h.of("booking-cancelled"), PATIENCE)
        for service in ("booking", "calendar-writer"):
            world.stack.kill(service)
        world.stack.start(["booking", "calendar-writer"])
        # then a first receipt says what still waits
        assert hear(tap, heard, lambda h: receipts(h, request), PATIENCE)
        (first,) = receipts(heard, request)
        assert (first["version"], first["finished"]) == (1, False)
        assert counts(first)["calendar-entries"][0] == "to-be-retried"
        assert len(world.entries("google", account)) == 3
        # and when the host connects again, another one says that all is done
        page = browser.approve(world.ask("auth", "connect_link", hosts["google"], "google")["url"], account, world.ca)
        assert page.status_code == 200
        assert hear(tap, heard, lambda h: finished(h, request), PATIENCE)
    last = receipts(heard, request)[-1]
    assert (last["version"], len(receipts(heard, request))) == (2, 2)
    assert counts(last)["bookings-cancelled"] == counts(last)["calendar-entries"] == ("done", 6)
    # and each booking was cancelled once, and nothing of her is left in the calendars
    told = [e["id"] for e in heard.of("booking-cancelled") if e["data"]["host"] in hosts.values()]
    assert len(set(told)) == 6
    for provider, host in hosts.items():
        assert world.entries(provider, f"{host}@example.com") == []
        assert ada not in whole(world, provider, f"{host}@example.com")

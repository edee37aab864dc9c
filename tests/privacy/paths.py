"""The paths that personal data and secrets take through Valet, failures included: walked one after the other."""

import json
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from amqp import Message

from deploy.sandbox import browser
from libs.contracts import codec
from libs.messaging import topology
from libs.messaging.errors import MessagingError
from libs.messaging.link import Link
from libs.messaging.publisher import Outgoing
from tests.conftest import settings_of
from tests.e2e.world import envelope, tomorrow
from tests.privacy.canaries import ECHO
from tests.privacy.walk import PROVIDERS, SETTLED, Walk


@dataclass(frozen=True)
class Path:
    """A path. In the short form those that are not `quick` are left out, and with nothing encrypted those that `shows` does not
    name: they show nothing that the others do not."""

    name: str
    walk: Callable[[Walk], None]
    quick: bool = True
    shows: bool = False

    def belongs(self, *, sealed: bool, quick: bool) -> bool:
        """Whether it is walked in this form."""
        return not quick or (self.quick if sealed else self.shows)


def connected(walk: Walk) -> None:
    """Hosts connect their calendars; there are entries of their own in them."""
    own = {
        "title": walk.canaries("hosttitle"),
        "body": walk.canaries("hosttitle"),
        "location": walk.canaries("hosttitle"),
    }
    for provider in PROVIDERS:
        account = walk.account(provider)
        client = walk.ground.stack.env("auth")[f"VALET_{provider.upper()}_CLIENT_ID"]
        walk.world.sandbox.register_client(provider, client, walk.canaries("secret"))
        walk.world.sandbox.create_account(provider, account, name=walk.canaries("account"))
        at = tomorrow(6)
        guests = [f"{walk.canaries('guest')}@example.com"]
        walk.world.sandbox.add_event(provider, account, at, at + timedelta(hours=1), attendees=guests, **own)
        if not any(walk.connects(provider) for _ in range(3)):  # a forced failure may be in the way
            raise AssertionError(f"{provider} is not connected")


def confirmed(walk: Walk) -> None:
    """Booked and written."""
    walk.confirmed(*walk.hosts.values())


def rejected(walk: Walk) -> None:
    """Refused, each for a reason of its own."""
    host = walk.hosts["google"]
    past = {"start": "2020-01-01T09:00:00Z", "end": "2020-01-01T09:30:00Z"}
    stranger = {"invitee": walk.canaries.invitee() | {"email": f"{walk.canaries('mail')} at example"}}
    zone = {"invitee": walk.canaries.invitee() | {"time_zone": f"{walk.canaries('name')}/Nowhere"}}
    busy = tomorrow(6)
    taken = {"start": busy.isoformat(), "end": (busy + timedelta(minutes=30)).isoformat()}
    cases = [walk.request(host, **past), walk.request("nobody-here"), walk.request(host, **taken)]
    walk.book([*cases, walk.request(host, stranger), walk.request(host, zone)], "booking-rejected")


def malformed(walk: Walk) -> None:
    """Sealed is what breaks the schema, or is none."""
    host = walk.hosts["google"]
    contents: list[Any] = [
        {"invitee": walk.canaries.invitee() | {walk.canaries("question"): 1}},
        {"invitee": {"$ne": walk.canaries("mail")}},
        {"invitee": walk.canaries("name"), "title": walk.canaries("title")},
        walk.canaries("answer"),
    ]
    walk.book([walk.request(host, content) for content in contents], "booking-rejected")


def moved_and_cancelled(walk: Walk) -> None:
    """Moved, then cancelled."""
    bookings = walk.confirmed(*walk.hosts.values())
    later = [walk.request(booking["host"])["data"] for booking in bookings]
    moves = [
        envelope("reschedule-requested", {"booking": b["booking"], "start": data["start"], "end": data["end"]})
        for b, data in zip(bookings, later, strict=True)
    ]
    walk.world.emit(moves)
    walk.settled(bookings, "booking-rescheduled")
    reason = {"reason": "requested-by-invitee"}
    walk.world.emit([envelope("cancellation-requested", {"booking": b["booking"], **reason}) for b in bookings])
    walk.settled(bookings, "calendar-event-removed")


def stores_away(walk: Walk) -> None:
    """The database is killed; what comes meanwhile waits on the broker, and is decided some time after."""
    waiting = [rung.queue for rung in topology.LADDER]
    asked = [walk.request(host) for host in walk.hosts.values()]
    walk.ground.stack.kill("mongod")
    walk.world.emit(asked)
    walk.wait(lambda: walk.depth(*waiting), "nothing waits in a delay")
    walk.ground.start(["mongod"])
    walk.late += asked


def dead_and_replayed(walk: Walk) -> None:
    """What no service can handle becomes a letter, is looked at, put back, and becomes a letter again."""
    odd = walk.request(walk.hosts["google"]) | {"type": "booking-wished"}
    before = walk.depth(topology.dead_queue("booking"))
    body = json.dumps(odd).encode()
    walk.world.emitter.publish([Outgoing("events", "booking-requested", body, codec.STRUCTURED, mandatory=True)])
    walk.wait(lambda: walk.depth(topology.dead_queue("booking")) > before, "no dead letter")
    names = {one.name for one in walk.letters().look(100).letters}
    list(walk.letters().replay(lambda one: one.name in names))
    walk.wait(
        lambda: {one.name for one in walk.letters().look(100).letters} not in (set(), names), "no letter after replay"
    )


def providers_in_trouble(walk: Walk) -> None:
    """Providers refuse, and quote what they were sent."""
    message = f"Cannot take {walk.canaries('title')} of {walk.canaries('mail')}@example.com: {walk.canaries('echo')}"
    for operation in ("google.events.insert", "microsoft.events.create"):
        walk.world.sandbox.add_fault(operation, "status", status=503, message=message, count=1)
    walk.confirmed(*walk.hosts.values())
    for operation in ("google.events.insert", "microsoft.events.create"):
        walk.world.sandbox.add_fault(operation, "status", status=400, reason="badRequest", message=message, count=1)
    bookings = walk.book([walk.request(host) for host in walk.hosts.values()], "booking-confirmed")
    walk.settled(bookings, *SETTLED, "calendar-write-delayed")
    walk.world.sandbox.clear_faults()


def oauth_in_trouble(walk: Walk) -> None:
    """Connecting fails, and the provider quotes codes and secrets; a refresh fails the same way."""
    message = f"Malformed auth code {walk.canaries('code')} of {walk.canaries('secret')}, {walk.canaries('echo')}"
    for provider in PROVIDERS:
        host, account = f"dr-{uuid.uuid4().hex[:8]}", walk.account(provider)
        operation = f"{provider}.token"
        walk.world.sandbox.add_fault(operation, "status", status=400, reason="invalid_grant", message=message, count=1)
        browser.approve(walk.world.ask("auth", "connect_link", host, provider)["url"], account, walk.world.ca)
        browser.approve(
            walk.world.ask("auth", "connect_link", host, provider)["url"], account, walk.world.ca, deny=True
        )
        walk.world.sandbox.expire_access_tokens(provider)
        walk.world.sandbox.add_fault(operation, "status", status=503, message=message, count=1)
        with suppress(MessagingError):
            walk.world.ask("auth", "calendars", walk.hosts[provider])
    walk.world.sandbox.clear_faults()


def odd_pages(walk: Walk) -> None:
    """Browsers bring what nobody asked for."""
    given = {name: walk.canaries("page") for name in ("code", "state", "error", "error_description", "iss", "x")}
    strange = {
        "User-Agent": walk.canaries("page"),
        "Cookie": f"flow={walk.canaries('page')}",
        "X-Odd": walk.canaries("page"),
    }
    for path in ("/oauth/google/callback", "/oauth/microsoft/callback", f"/connect/{walk.canaries('page')}", "/"):
        walk.page("GET", f"{path}?{urlencode(given)}", headers=strange)
        walk.page("POST", path, data=given, headers=strange)
        walk.page("PUT", path + walk.canaries("page"), json=given)


def bad_questions(walk: Walk) -> None:
    """Questions that cannot be answered, with what should not be in them."""
    person = f"{walk.canaries('asked')}@example.com"
    questions: list[tuple[str, str, list[Any]]] = [
        ("booking", "details", [[person]]),
        ("booking", "journeys", [{"$ne": person}]),
        ("booking", "nothing", [person]),
        ("auth", "connect_link", [person]),
        ("auth", "calendars", [{"$where": person}]),
        ("auth", "set_calendars", [walk.hosts["google"], [{"id": person, "use": person}]]),
        ("availability", "slots", [person, person, person, 30]),
        ("calendar-writer", "reconcile", [person]),
    ]
    for service, method, arguments in questions:
        with suppress(MessagingError):
            walk.world.ask(service, method, *arguments, deadline=5)


def odd_traces(walk: Walk) -> None:
    """A trace header that is none is not carried on."""
    odd = walk.request(walk.hosts["google"])
    if not walk.sealed:
        odd["traceparent"] = walk.canaries("trace")
    walk.book([odd], "booking-confirmed")


def killed(walk: Walk) -> None:
    """Booking and the writer are killed amid requests, and started again."""
    asked = [walk.request(host) for host in walk.hosts.values() for _ in range(5)]
    walk.world.emit(asked)
    for service in ("booking", "calendar-writer"):
        walk.ground.stack.kill(service)
    walk.ground.start(["booking", "calendar-writer"])
    walk.settled(walk.outcomes(asked, "booking-confirmed"))


def erased(walk: Walk) -> None:
    """The person is erased. What is said of it holds no name."""
    request = envelope("erasure-requested", walk.hidden({"email": f"{walk.canaries('mail')}@example.com"}))
    walk.book([request], "personal-data-erased")


PATHS: Sequence[Path] = (
    Path("connected", connected, shows=True),
    Path("confirmed", confirmed, shows=True),
    Path("rejected", rejected),
    Path("malformed", malformed),
    Path("moved and cancelled", moved_and_cancelled),
    Path("store away, retried", stores_away, quick=False),
    Path("dead-lettered and replayed", dead_and_replayed, shows=True),
    Path("provider errors that echo", providers_in_trouble, shows=True),
    Path("OAuth errors that echo", oauth_in_trouble),
    Path("odd pages", odd_pages, shows=True),
    Path("bad questions", bad_questions, shows=True),
    Path("odd trace headers", odd_traces, shows=True),
    Path("killed in the middle", killed, quick=False),
    Path("erased", erased),
)


def planted(walk: Walk) -> None:
    """Where nothing of Valet's goes, what the search has to find is put by hand: a connection's name, which the broker logs,
    and a message in a classic queue."""
    person = f"{walk.canaries('mail')}@example.com"
    connection = Link(settings_of(walk.ground.stack, "operator"), person).open()
    channel = connection.connection.channel()
    channel.queue_declare("planted", durable=True, auto_delete=False)
    body = " ".join(walk.canaries(kind) for kind in ECHO).encode() * 200
    channel.confirm_select()
    channel.basic_publish_confirm(Message(body, delivery_mode=2), "", "planted", confirm_timeout=20)
    connection.release()

"""The broker: login, queues that exist and are consumed, dead letters, and the services' answers to questions."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from amqp.exceptions import NotFound
from kombu import Connection

from deploy.cli.doctor.findings import Finding, bad, good
from libs.config.settings import Settings
from libs.messaging import topology
from libs.messaging.errors import BusUnavailable, RpcFailed, ServiceUnavailable
from libs.messaging.link import CLOSED, TROUBLE, Link
from libs.messaging.rpc import Ask

LOGIN = "bus login"
NAME = "valet-doctor"
SECONDS = 3.0
ANSWERED_BADLY = frozenset({"Failed", "BadArguments", "MalformedQuestion", "MalformedAnswer"})

WORDS = {
    "AccessRefused": ("the broker refuses the user or the password", "mend the login in VALET_AMQP_URL"),
    "NotAllowed": ("the user may not enter this virtual host", "mend the path of VALET_AMQP_URL, or its permissions"),
    "SSLCertVerificationError": (
        "its certificate is not trusted",
        "check VALET_CA_BUNDLE, and that the certificate is for the host in VALET_AMQP_URL",
    ),
    "ConnectionRefusedError": ("nothing listens there", "start RabbitMQ, or mend the address in VALET_AMQP_URL"),
    "gaierror": ("the host name is not known", "mend the host in VALET_AMQP_URL"),
    "FileNotFoundError": ("VALET_CA_BUNDLE is not there", "mend VALET_CA_BUNDLE"),
}
ELSE = ("no connection", "see whether RabbitMQ is up and lets this machine in")

METHODS = {
    "auth": (
        "access_tokens",
        "calendars",
        "connect_link",
        "connections",
        "disconnect",
        "disconnect_link",
        "history",
        "hosts",
        "keys",
        "list_hosts",
        "providers",
        "rewrap_keys",
        "set_calendars",
        "switch_provider",
    ),
    "availability": ("host_rules", "set_host_rules", "slots", "team_slots"),
    "booking": ("bookings", "details", "erasure", "erasures", "journeys", "keys", "public_keys", "rewrap_keys"),
    "calendar-writer": ("clear", "effects", "reconcile"),
}
"""Every question that a service of this release answers."""
QUESTIONS = tuple(topology.QuestionQueue(service, method) for service, methods in METHODS.items() for method in methods)
NOBODY = "valet-doctor"
NO_BOOKING = f"bk_{'a' * 26}"


def login(settings: Settings) -> Finding:
    """Whether the broker lets us in."""
    try:
        _link(settings).open().release()
    except BusUnavailable as error:
        kind = str(error)
        detail, advice = WORDS.get(kind, (f"{ELSE[0]} ({kind})", ELSE[1]))
        return bad(LOGIN, detail, advice)
    return good(LOGIN, "accepted")


def queues(settings: Settings, consumed: Iterable[str], services: Iterable[str]) -> Iterator[Finding]:
    """Each queue in `consumed` must be there and consumed; the dead letters of `services` must be none."""
    try:
        connection = _link(settings).open()
    except BusUnavailable:
        yield bad("queues", "not looked at: the bus is out of reach", f"mend {LOGIN} first")
        return
    try:
        for name in sorted({*consumed, *(question.name for question in QUESTIONS)}):
            yield _queue(name, look(connection, name))
        for service in services:
            yield from _dead(service, look(connection, topology.dead_queue(service)))
    except TROUBLE as error:
        yield bad("queues", f"the bus went away ({type(error).__name__})", f"mend {LOGIN} first")
    finally:
        with suppress(*CLOSED):
            connection.release()


def questions(settings: Settings) -> Sequence[tuple[str, Callable[[], Iterable[Finding]]]]:
    """A check for each question that changes nothing: its name and what to run."""
    now = datetime.now(UTC).replace(microsecond=0)
    span = (now.isoformat(), (now + timedelta(hours=1)).isoformat())
    return [
        _question(settings, "auth", "hosts"),
        _question(settings, "availability", "slots", NOBODY, *span, 30),
        _question(settings, "availability", "host_rules", NOBODY),
        _question(settings, "booking", "journeys", [NO_BOOKING]),
        _question(settings, "booking", "public_keys"),
        _question(settings, "calendar-writer", "effects"),
    ]


def _question(settings: Settings, service: str, method: str, *args: Any) -> tuple[str, Callable[[], Iterable[Finding]]]:
    name = f"question {service}.{method}"

    def ask() -> Iterable[Finding]:
        asker = Ask(_link(settings), min(SECONDS, settings.rpc_timeout))
        try:
            asker(service, method, *args)
        except ServiceUnavailable as error:
            return [_silent(name, service, str(error))]
        except RpcFailed as error:
            if error.kind in ANSWERED_BADLY:  # any other label is an answer: nobody of that name is known, say
                return [bad(name, f"the answer is an error: {error.kind}", f"look into the log of {service}")]
        finally:
            asker.close()
        return [good(name, "answered")]

    return name, ask


def _silent(name: str, service: str, text: str) -> Finding:
    if "BusUnavailable" in text:
        return bad(name, "not asked: the bus is out of reach", f"mend {LOGIN} first")
    return bad(name, "no answer", f"start {service}, or look into its log")


def _queue(name: str, seen: tuple[int, int] | None) -> Finding:
    service = name.removeprefix("rpc.").partition(".")[0]
    if seen is None:
        return bad(f"queue {name}", "is not there", f"start {service}: it declares its queues")
    messages, consumers = seen
    if consumers == 0:
        return bad(f"queue {name}", f"nobody consumes it; {messages} wait", f"start {service}, or look into its log")
    return good(f"queue {name}", f"{consumers} consuming, {messages} waiting")


def _dead(service: str, seen: tuple[int, int] | None) -> Iterator[Finding]:
    name = f"dead letters {service}"
    if seen is None:  # a service without event queues has none
        return
    if seen[0]:
        word = "message waits" if seen[0] == 1 else "messages wait"
        yield bad(name, f"{seen[0]} {word} in {topology.dead_queue(service)}", "see why, mend it, then replay or drop")
    else:
        yield good(name, "none")


def look(connection: Connection, name: str) -> tuple[int, int] | None:
    """Messages ready and consumers of a queue; None if there is no such queue."""
    channel = connection.connection.channel()
    try:
        declared = channel.queue_declare(name, passive=True)
    except NotFound:  # the broker has closed the channel with that answer
        return None
    channel.close()
    return int(declared.message_count), int(declared.consumer_count)


def _link(settings: Settings) -> Link:
    return Link(settings.model_copy(update={"connect_timeout": min(SECONDS, settings.connect_timeout)}), NAME)

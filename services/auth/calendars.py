"""Which calendars of a host are checked and which one is written to: asked and set, as a whole."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec

from libs.contracts.events import HostId, Provider
from libs.contracts.questions import HostCalendar
from libs.providers.errors import ProviderError
from libs.providers.port import Interval, Unreadable
from services.auth import choices, domain
from services.auth.choices import PRIMARY, Choice, Chosen
from services.auth.desk import Desk
from services.auth.domain import Connection
from services.auth.outgoing import calendars_changed
from services.auth.questions import HOST, BadQuestion, checked
from services.auth.tokens import usable

MOST_CALENDARS: Final = 50
LOOK: Final = timedelta(minutes=1)
"""The span that is read to see that a calendar can be read. Busy times only, as ever."""

SHAPES: Final[dict[Provider, tuple[str, str]]] = {
    "google": (
        r"[A-Za-z0-9_.#-]{1,200}@([a-z0-9-]+\.)+calendar\.google\.com",
        "`primary`, or an id that ends in .calendar.google.com (never an address)",
    ),
    "microsoft": (r"[A-Za-z0-9_=-]{1,512}", "`primary`, or the id that Graph gives the calendar"),
}


def calendars(host: object, desk: Desk) -> list[dict[str, Any]]:
    """The calendars of a host, each as `libs.contracts.questions.HostCalendar`. Raises BadQuestion, StoreUnavailable."""
    name = checked(host, HostId, HOST)
    return _shown(choices.standing(_chosen(name, desk), desk.store.connections([name])))


def set_calendars(host: object, wanted: object, desk: Desk) -> list[dict[str, Any]]:
    """Use these calendars, and no others of the connections that there are now; the list as it then stands.

    A calendar that was not in use is read once before it is accepted. Nothing is changed unless all is well. Raises
    BadQuestion, which names the calendar at fault by its place in the list, and StoreUnavailable.
    """
    name = checked(host, HostId, HOST)
    listed = checked(wanted, list[HostCalendar], "calendars: a list of {connection, calendar, checked, written}")
    asked = tuple(Choice(c.connection, c.calendar, c.checked, c.written) for c in listed)
    readable: set[tuple[str, str]] = set()
    while True:  # somebody else may set them between our reading and our writing
        chosen, owned = _chosen(name, desk), domain.active(desk.store.connections([name]))
        _judge(asked, owned)
        standing = choices.standing(chosen, owned)
        known = readable | {_key(choice) for choice in standing}
        _read([c for c in asked if _key(c) not in known], asked, owned, desk)
        readable |= {_key(choice) for choice in asked}
        if set(asked) == set(standing):
            return _shown(standing)
        next_ = Chosen(chosen.version + 1, asked, tuple(c.id for c in owned))
        event = calendars_changed(name, f"{name}.calendars.{next_.version}", desk.clock())
        if desk.store.choose(name, next_, event):
            desk.host_relay.send({name: [event]})
            return _shown(asked)


def _chosen(host: str, desk: Desk) -> Chosen:
    found = desk.store.chosen([host]).get(host)
    if found is None:
        raise BadQuestion("host: one that has been invited; this one is not known")
    return found


def _judge(asked: Sequence[Choice], owned: Sequence[Connection]) -> None:
    if len(asked) > MOST_CALENDARS:
        raise BadQuestion(f"calendars: at most {MOST_CALENDARS}")
    providers = {connection.id: connection.provider for connection in owned}
    for place, choice in enumerate(asked):
        _judge_one(place, choice, providers)
    if len({_key(choice) for choice in asked}) < len(asked):
        raise BadQuestion("calendars: each at most once")
    if sum(choice.written for choice in asked) != 1:
        raise BadQuestion("calendars: exactly one must be `written`, the one that bookings go to")


def _judge_one(place: int, choice: Choice, providers: Mapping[str, Provider]) -> None:
    provider = providers.get(choice.connection)
    if provider is None:
        raise BadQuestion(
            f"calendars[{place}].connection: one of this host's that is not disconnected (`hosts` lists them)"
        )
    shape, words = SHAPES[provider]
    if choice.calendar != PRIMARY and not re.fullmatch(shape, choice.calendar):
        raise BadQuestion(f"calendars[{place}].calendar: at {provider} {words}")


def _read(new: Sequence[Choice], asked: Sequence[Choice], owned: Sequence[Connection], desk: Desk) -> None:
    """Raises BadQuestion if one of the new ones cannot be read now."""
    of = {c.id: [choice.calendar for choice in new if choice.connection == c.id] for c in owned}
    ready = [connection for connection in owned if of[connection.id]]
    faults: dict[tuple[str, str], str] = {}
    for some in desk.together(lambda c: _faults(c, of[c.id], desk), ready):
        faults |= some
    for place, choice in enumerate(asked):
        if why := faults.get(_key(choice)):
            raise BadQuestion(f"calendars[{place}]: connection {choice.connection} cannot read it: {why}")


def _faults(connection: Connection, names: Sequence[str], desk: Desk) -> dict[tuple[str, str], str]:
    """Why calendars of a connection cannot be read."""
    standing, tokens = usable(connection, desk)
    if tokens is None:
        why = "provider-unavailable" if standing.state is domain.State.CONNECTED else standing.state.value
        return {(connection.id, name): why for name in names}
    now = desk.clock()
    try:
        found = desk.calendars[connection.provider].busy(tokens.access, names, Interval(now, now + LOOK))
    except ProviderError as error:
        return {(connection.id, name): error.label for name in names}
    unread = ((name, found.get(name, Unreadable("missing-from-answer"))) for name in names)
    return {(connection.id, name): busy.why for name, busy in unread if isinstance(busy, Unreadable)}


def _key(choice: Choice) -> tuple[str, str]:
    return choice.connection, choice.calendar


def _shown(standing: Sequence[Choice]) -> list[dict[str, Any]]:
    rows = (
        HostCalendar(connection=c.connection, calendar=c.calendar, checked=c.checked, written=c.written)
        for c in standing
    )
    return [msgspec.to_builtins(row) for row in rows]

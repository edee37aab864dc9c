"""Nothing personal leaves the booking service but by `details`: not in events, texts, log lines or what is kept in the clear."""

from collections.abc import Callable, Sequence
from dataclasses import astuple, replace
from typing import Any

import pytest

from libs.contracts.reasons import Reason
from libs.testing.events import ADA, CANARIES, TITLE, booking_id, incoming, malformed, requested, sealed_request
from libs.testing.leaks import LogCapture, leaks, whole_text
from services.booking.handlers import expire_holds, hold_bookings
from services.booking.questions import details, journeys
from services.booking.requests import candidate
from tests.unit.booking.doubles import RULES, World, another_replica, world

CONTENT = b'{"invitee": {"name": "Ada Example", "email": "ada@example.com"}, "title": "Canary title", "host": 5}'


def batch(made: World) -> list[Any]:
    return [
        incoming(requested(), id="good"),
        incoming(requested(), id="taken"),
        incoming(requested(minutes=7), id="off-grid"),
        incoming(requested(minutes=30), id="good"),
        incoming(sealed_request(made.envelopes), id="sealed"),
        incoming(requested(invitee=None, title=TITLE, sealed="ada@example.com"), id="broken"),
        malformed(Reason.MALFORMED_EVENT, CONTENT, id="malformed"),
    ]


def test_the_canaries_would_be_found() -> None:
    # The other tests of this page would pass with a net full of holes.
    assert leaks("x Ada Example x", CANARIES)
    assert not leaks("bk_aaaa held", CANARIES)


def test_no_event_carries_anything_personal() -> None:
    made = world()
    hold_bookings(batch(made), made.desk)

    assert len(made.told.pendings) == 7
    assert not leaks(b"".join(p.body for p in made.told.pendings).decode(), CANARIES)


def test_what_the_store_keeps_is_sealed() -> None:
    made = world()
    hold_bookings(batch(made), made.desk)

    kept = [astuple(booking) for booking in made.store.kept.values()]
    assert any(booking.sealed for booking in made.store.kept.values())
    assert not leaks(str(kept), CANARIES)


def test_no_repr_shows_anything_personal() -> None:
    made = world()
    items = batch(made)
    candidates = [candidate(i, made.desk.entrance, made.desk.digests, RULES, made.clock()) for i in items]
    hold_bookings(items, made.desk)
    id = next(iter(made.store.kept))

    shown = [items, [i.data for i in items], ADA, candidates, [c.personal for c in candidates], made.store.kept]
    shown += [made.told.pendings, made.desk, details([id], made.desk)]
    assert not leaks("".join(f"{each!r}{each!s}" for each in shown), CANARIES)


def fail(message: str = "ada@example.com said: Canary title") -> Callable[..., Any]:
    def failing(*_: Any, **__: Any) -> Any:
        raise RuntimeError(message)

    return failing


@pytest.mark.parametrize("where", ["add", "get", "send", "seal", "unseal"])
def test_no_failure_says_anything_personal(log: LogCapture, where: str) -> None:
    made = world()
    desk = made.desk
    if where in ("add", "get"):
        setattr(made.store, where, fail())
    elif where == "send":
        desk = replace(desk, relay=type("Broken", (), {"send": fail()})())
    else:
        setattr(desk.safe, "seal" if where == "seal" else "open", fail())

    handled = log.worked(lambda items: _both(items, desk), batch(made))

    assert handled.acknowledge, "the worker has gone on"
    assert "RuntimeError" in log.text, "the failure is told, by its name"
    assert not leaks(log.text, CANARIES)
    assert not leaks(whole_text(log.sent), CANARIES)


def _both(items: Sequence[Any], desk: Any) -> Any:
    outcomes = hold_bookings(items, desk)
    details([booking_id("mine")], desk)
    return outcomes


def test_no_log_line_says_anything_personal(log: LogCapture) -> None:
    made = world()
    log.worked(lambda items: hold_bookings(items, made.desk), batch(made))
    made.store.away = True
    log.worked(lambda items: hold_bookings(items, made.desk), batch(made))
    expire_holds(made.desk)
    made.store.away = False
    details(list(made.store.kept), another_replica(made))

    assert "booking held" in log.text
    assert "off-grid" in log.text
    assert "holds not swept" in log.text
    assert not leaks(log.text, CANARIES)


@pytest.mark.parametrize("ask", [details, journeys])
def test_what_cannot_be_a_booking_is_not_looked_for(ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    # Somebody may have typed a person's address; databases log the conditions of what takes them long.
    made = world()
    asked: list[str] = []

    def get(ids: Sequence[str]) -> dict[str, Any]:
        asked.extend(ids)
        return {}

    monkeypatch.setattr(made.store, "get", get)
    ids = [booking_id("mine"), "ada@example.com", booking_id("mine") + "\n", ""]

    assert ask(ids, made.desk) == dict.fromkeys(ids)
    assert asked == [booking_id("mine")]

"""Whatever happens between any two steps of any worker, the calendars end as the booking service says, with one entry each."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.events import Provider
from libs.contracts.questions import Detail, HostAccess
from libs.messaging.delivery import DONE
from libs.providers.errors import RateLimited, Unauthorized, Unreachable
from libs.testing.events import HOST, HOUR, SOON, booking_id, confirmed, incoming
from libs.testing.grants import calendar_of
from services.calendar_writer.handlers import write_entries
from services.calendar_writer.parked import resume, sweep_left
from tests.unit.calendar_writer.doubles import World, over, stands, world
from tests.unit.calendar_writer.test_parked import CONNECTED, deliver

NAMES = ("a", "b", "c")
DEEPEST = 2
CALENDAR = calendar_of(HOST).calendar
FAULTS = {
    "before": (Unreachable("timeout"), "before"),
    "after": (Unreachable("timeout"), "after"),
    "limited": (RateLimited("http-429"), "before"),
    "refused-token": (Unauthorized("http-401"), "before"),
}


class Killed(BaseException):
    """A worker's process ends just here."""


class Chaos:
    """A writer between whose steps anything may happen: other workers, news, faults, a host who goes and comes, a kill."""

    def __init__(self, data: st.DataObject, provider: Provider) -> None:
        self.data = data
        self.made: World = world()
        self.made.connect(provider=provider)
        self.double = self.made.google if provider == "google" else self.made.microsoft
        self.access = self.made.grants.hosts[HOST]
        self.depth = 0
        self.histories: dict[str, list[Detail | None]] = {
            "a": [stands(2), stands(3, start=SOON + HOUR), over(4)],
            "b": [stands(2), stands(3, start=SOON + 2 * HOUR), stands(4, start=SOON + 3 * HOUR)],
            "c": [stands(2, start=SOON + 5 * HOUR), None],
        }
        made = self.made
        made.ledger.begin = self.broken(made.ledger.begin)  # type: ignore[method-assign]  # steps of the real thing
        made.ledger.end = self.broken(made.ledger.end)  # type: ignore[method-assign]  # as above
        self.double.put = self.broken(self.double.put)  # type: ignore[method-assign]  # as above
        self.double.remove = self.broken(self.double.remove)  # type: ignore[method-assign]  # as above
        self.desk = replace(made.desk, details=self.broken(made.desk.details))

    def broken(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def with_chaos(*given: Any, **named: Any) -> Any:
            self.happen()
            result = step(*given, **named)
            self.happen()
            return result

        return with_chaos

    def happen(self) -> None:
        """Something, or mostly nothing."""
        if self.depth >= DEEPEST:
            return
        what = self.data.draw(st.sampled_from(["nothing"] * 6 + ["news", "worker", "host", "kill", *FAULTS]))
        if what == "news":
            self.news()
        elif what == "worker":
            self.work()
        elif what == "host":
            self.host_goes_or_comes()
        elif what == "kill" and self.depth:
            raise Killed
        elif what in FAULTS:
            error, when = FAULTS[what]
            operation = self.data.draw(st.sampled_from(["put", "remove"]))
            self.double.fail(operation, error, when)  # type: ignore[arg-type]  # one of the two

    def news(self) -> None:
        """A booking moves on, or is erased in the end."""
        name = self.data.draw(st.sampled_from(NAMES))
        if not self.histories[name]:
            return
        detail = self.histories[name].pop(0)
        if detail is None:
            self.made.details.said.pop(booking_id(name), None)
        else:
            self.made.say(name, detail)

    def host_goes_or_comes(self) -> None:
        gone = HostAccess(state="reconnect-needed", calendars=[calendar_of(HOST, self.double.provider, token=None)])
        self.made.grants.hosts[HOST] = self.access if self.made.grants.hosts[HOST] is not self.access else gone

    def work(self) -> None:
        """A worker takes some events; it may be killed in the middle."""
        names = self.data.draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3))
        self.depth += 1
        with suppress(Killed):
            write_entries([incoming(confirmed(name)) for name in names], self.desk)
        self.depth -= 1

    def calm(self) -> None:
        """All news is out, faults are over, the host is there, and what was left open comes again."""
        self.depth = DEEPEST
        while any(self.histories.values()):
            for name in NAMES:
                if self.histories[name]:
                    detail = self.histories[name].pop(0)
                    self.made.details.said.pop(booking_id(name), None)
                    if detail is not None:
                        self.made.say(name, detail)
        self.double._faults.clear()
        self.made.grants.hosts[HOST] = self.access
        self.made.pass_time(61)
        resume([incoming(CONNECTED)], self.desk)
        deliver(self.made)


@settings(max_examples=80, deadline=None)
@given(st.data(), st.sampled_from(["google", "microsoft"]))
def test_the_calendar_ends_as_the_bookings_say(data: st.DataObject, provider: Provider) -> None:
    chaos = Chaos(data, provider)
    for _ in range(data.draw(st.integers(1, 6))):
        chaos.news()
        chaos.work()
    chaos.calm()
    outcomes = write_entries([incoming(confirmed(name)) for name in NAMES], chaos.desk)

    assert list(outcomes) == [DONE] * 3
    assert [entry.span.start for entry in chaos.double.entries(CALENDAR)] == [SOON + 3 * HOUR]
    calls = list(chaos.double.calls)
    write_entries([incoming(confirmed(name)) for name in NAMES], chaos.desk)
    chaos.made.pass_time(10_000)
    assert sweep_left(chaos.desk) == 0
    assert chaos.double.calls == calls, "and then it is quiet"

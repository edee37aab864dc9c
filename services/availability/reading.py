"""Reading many hosts' calendars at once: one request per connection at a time, connections side by side."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Protocol

from libs.contracts.events import Provider
from libs.contracts.questions import CalendarAccess, CalendarEvidence, HostAccess
from libs.contracts.reasons import Reason
from libs.messaging.grants import Grants
from libs.providers.errors import ProviderError, Unauthorized
from libs.providers.port import Busy, Calendar, Interval, Unreadable
from libs.telemetry import metrics
from services.availability.domain import Window, joined, without
from services.availability.flights import Flights, Inquiry, Look
from services.availability.snapshots import Snapshots

LONGEST_QUESTION = timedelta(days=31)
DAY = timedelta(days=1)
TOO_SLOW = "too-slow"

Asked = tuple[str, Window]
"""A host, and the time that is asked about."""
Answer = Callable[[Inquiry], Sequence[Look]]


class Together(Protocol):
    """Puts many inquiries at once."""

    def soon(self, ask: Answer, questions: Sequence[Inquiry], within: float) -> Sequence[Sequence[Look] | None]:
        """The answers in the order of the inquiries; None for what was not answered within so many seconds."""
        ...

    def waves(self, ask: Answer, questions: Sequence[Inquiry]) -> Iterator[Mapping[int, Sequence[Look]]]:
        """Every answer, by the place of its inquiry, some earlier than others."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of one host for one window. Only a complete reading says anything about being free.

    `age` is that of the oldest of what was read, in seconds.
    """

    results: tuple[tuple[CalendarAccess, Busy | Unreadable], ...]
    age: float

    @property
    def complete(self) -> bool:
        """Whether there was something to read and all of it was read."""
        return bool(self.results) and all(isinstance(result, Busy) for _, result in self.results)

    @property
    def trouble(self) -> Reason:
        """Why it is not complete."""
        off = Reason.PROVIDER_SWITCHED_OFF
        told = any(isinstance(result, Unreadable) and result.why == off for _, result in self.results)
        return off if told else Reason.CALENDAR_UNREADABLE

    @property
    def evidence(self) -> list[CalendarEvidence]:
        """How each calendar was read."""
        return [_evidence(calendar, result) for calendar, result in self.results]

    def busy(self, own: Sequence[Window] = ()) -> list[Window]:
        """The busy times of all calendars, less the entries of Valet's own that stand there at the times `own`.

        An entry has no name here, only times. Where the provider tells entries apart, one that has exactly these times is
        left out. Where it tells only merged times, these times are cut out of the calendar that is written to: whatever else
        the host has there in that time cannot be seen. Of the other calendars of that kind nothing is cut out.
        """
        read = [_Read(calendar.written, result) for calendar, result in self.results if isinstance(result, Busy)]
        read.sort(key=lambda r: not r.written)
        for span in own:
            any(calendar.leave_out(span) for calendar in read)  # once at most
        return [window for calendar in read for window in calendar.windows]


class _Read:
    """One calendar's busy times, from which entries can be left out."""

    def __init__(self, written: bool, busy: Busy) -> None:
        self.written = written
        self.windows = [Window(i.start, i.end) for i in busy.intervals]
        self._single = None if busy.single is None else [Window(i.start, i.end) for i in busy.single]

    def leave_out(self, span: Window) -> bool:
        if self._single is not None:
            if span not in self._single:
                return False
            self._single.remove(span)
            self.windows = self._single
            return True
        # Where the entry stands, it is covered whole.
        if not self.written or not any(window.covers(span) for window in self.windows):
            return False
        self.windows = without(self.windows, span)
        return True


class Reader:
    """Reads busy times, and nothing else, through the providers' adapters.

    After `patience` seconds a request that is made of several windows is not continued. `clock` is monotonic.
    """

    def __init__(
        self,
        calendars: Mapping[Provider, Calendar],
        grants: Grants,
        together: Together,
        snapshots: Snapshots,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._calendars = calendars
        self._grants = grants
        self._together = together
        self._snapshots = snapshots
        self._patience = patience
        self._clock = clock
        self._flights = Flights(self._fly)

    def live(self, access: Mapping[str, HostAccess], asked: Iterable[Asked]) -> Iterator[dict[Asked, Reading]]:
        """What the calendars say now, from requests that begin after this call: some hosts' earlier than others'. Never raises
        for a provider: what cannot be read makes a reading incomplete."""
        asks = list(asked)
        inquiries = _all_inquiries(access, asks, fresh=True)
        open_ = Counter(inquiry.host for inquiry in inquiries)
        yield self._readings(access, [each for each in asks if not open_[each[0]]], {})
        looks: dict[str, Sequence[Look]] = {}
        for wave in self._together.waves(self._ask, inquiries):
            looks |= {inquiries[at].connection: found for at, found in wave.items()}
            heard = Counter(inquiries[at].host for at in wave)
            open_ -= heard
            yield self._readings(access, [each for each in asks if each[0] in heard and not open_[each[0]]], looks)

    def recent(
        self, access: Mapping[str, HostAccess], asked: Iterable[Asked], within: float = math.inf
    ) -> dict[Asked, Reading]:
        """The same, perhaps from a request that is under way already or from a snapshot. Whole days (UTC) are read, so that
        the next question is answered by the same snapshot.

        What is not read within so many seconds is told as too slow. It is read to its end all the same, for the next question.
        """
        asks = list(asked)
        inquiries = _all_inquiries(access, [(host, _whole_days(window)) for host, window in asks], fresh=False)
        answers = self._together.soon(self._ask, inquiries, within)
        looks = {
            inquiry.connection: self._too_slow(inquiry) if found is None else found
            for inquiry, found in zip(inquiries, answers, strict=True)
        }
        return self._readings(access, asks, looks)

    def forget(self, host: str) -> None:
        """Something is known to have changed: no snapshot of this host is used any more."""
        self._snapshots.forget(host)

    def _readings(
        self, access: Mapping[str, HostAccess], asked: Iterable[Asked], looks: Mapping[str, Sequence[Look]]
    ) -> dict[Asked, Reading]:
        return {(host, window): self._reading(access[host], window, looks) for host, window in asked}

    def _reading(self, access: HostAccess, window: Window, looks: Mapping[str, Sequence[Look]]) -> Reading:
        results, began = [], self._clock()
        for calendar in _checked(access):
            look = next((look for look in looks.get(calendar.connection, ()) if look.window.covers(window)), None)
            missing = Unreadable("not-answered" if calendar.token else _without_token(calendar))
            results.append((calendar, look.results.get(calendar.calendar, missing) if look else missing))
            began = min(began, look.began if look else began)
        return Reading(tuple(results), self._clock() - began)

    def _ask(self, inquiry: Inquiry) -> Sequence[Look]:
        if inquiry.fresh:
            return self._flights.ask(inquiry)
        return self._flights.ask(inquiry, lambda: self._snapshots.known(inquiry))

    def _too_slow(self, inquiry: Inquiry) -> Sequence[Look]:
        results, now = _none_of(inquiry, TOO_SLOW), self._clock()
        return [Look(window, now, results) for window in inquiry.windows]

    def _fly(self, inquiry: Inquiry) -> Sequence[Look]:
        looks: list[Look] = []
        begin = self._clock()
        for window in joined(inquiry.windows, LONGEST_QUESTION):
            began = self._clock()
            late = began - begin > self._patience
            results = _none_of(inquiry, TOO_SLOW) if late else self._busy(inquiry, window)
            looks.append(Look(window, began, results))
        self._snapshots.keep(inquiry, looks)
        return looks

    def _busy(self, inquiry: Inquiry, window: Window) -> Mapping[str, Busy | Unreadable]:
        names = [calendar.calendar for calendar in inquiry.calendars]
        provider = self._calendars[inquiry.provider]
        try:
            found = provider.busy(inquiry.token, names, Interval(window.start, window.end))
        except ProviderError as error:
            if isinstance(error, Unauthorized):
                self._grants.forget(inquiry.host, inquiry.calendars[0])
            return _none_of(inquiry, error.label)
        for result in found.values():
            if isinstance(result, Unreadable):
                metrics.CALENDARS_UNREADABLE.labels(inquiry.provider, result.why).inc()
        return found


def _checked(access: HostAccess) -> list[CalendarAccess]:
    return sorted((c for c in access.calendars if c.checked), key=lambda c: c.connection)


def _all_inquiries(access: Mapping[str, HostAccess], asked: Sequence[Asked], *, fresh: bool) -> list[Inquiry]:
    windows: dict[str, list[Window]] = {}
    for host, window in asked:
        windows.setdefault(host, []).append(window)
    return [inquiry for host, spans in windows.items() for inquiry in _inquiries(host, access[host], spans, fresh)]


def _inquiries(host: str, access: HostAccess, windows: Sequence[Window], fresh: bool) -> list[Inquiry]:
    """One per connection, with all its calendars. Without a token nobody is asked."""
    made = []
    for connection, group in groupby(_checked(access), key=lambda c: c.connection):
        calendars, spans = tuple(group), tuple(dict.fromkeys(windows))
        first = calendars[0]
        if first.token is None:
            metrics.CALENDARS_UNREADABLE.labels(first.provider, _without_token(first)).inc(len(calendars))
            continue
        made.append(Inquiry(host, connection, first.provider, first.token, calendars, spans, () if fresh else spans))
    return made


def _without_token(calendar: CalendarAccess) -> str:
    return Reason.PROVIDER_SWITCHED_OFF.value if calendar.switched_off else "no-access"


def _none_of(inquiry: Inquiry, why: str) -> Mapping[str, Busy | Unreadable]:
    metrics.CALENDARS_UNREADABLE.labels(inquiry.provider, why).inc(len(inquiry.calendars))
    return {calendar.calendar: Unreadable(why) for calendar in inquiry.calendars}


def _evidence(calendar: CalendarAccess, result: Busy | Unreadable) -> CalendarEvidence:
    busy = result if isinstance(result, Busy) else None
    return CalendarEvidence(
        provider=calendar.provider,
        connection=calendar.connection,
        complete=busy is not None,
        as_of=busy.as_of if busy else None,
        why=None if isinstance(result, Busy) else result.why,
    )


def _whole_days(window: Window) -> Window:
    start = window.start.replace(hour=0, minute=0, second=0, microsecond=0)
    end = window.end.replace(hour=0, minute=0, second=0, microsecond=0)
    return Window(start, end if end == window.end else end + DAY)

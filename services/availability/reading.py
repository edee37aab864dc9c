"""Reading many hosts' calendars at once: one question per connection and stretch of time, side by side."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from libs.contracts.events import Provider
from libs.contracts.questions import CalendarAccess, CalendarEvidence, HostAccess
from libs.messaging.grants import Grants
from libs.providers.errors import ProviderError, Unauthorized
from libs.providers.port import Busy, Calendar, Interval, Unreadable
from libs.telemetry import metrics
from services.availability.domain import Window

Gather = Callable[[Callable[["_Question"], "_Answer"], Sequence["_Question"]], Iterable["_Answer"]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of one host. Only a complete reading says anything about being free."""

    busy: list[Window]
    evidence: list[CalendarEvidence]
    complete: bool


@dataclass(frozen=True, slots=True)
class _Question:
    host: str
    window: Window
    provider: Provider
    token: str | None = field(repr=False)
    calendars: tuple[CalendarAccess, ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    host: str
    results: tuple[tuple[CalendarAccess, Busy | Unreadable], ...]


class Reader:
    """Reads busy times, and nothing else, through the providers' adapters."""

    def __init__(self, calendars: Mapping[Provider, Calendar], grants: Grants, gather: Gather) -> None:
        self._calendars = calendars
        self._grants = grants
        self._gather = gather

    def read(self, access: Mapping[str, HostAccess], windows: Mapping[str, Sequence[Window]]) -> dict[str, Reading]:
        """One reading per host, over its windows. Never raises for a provider: what cannot be read makes a reading incomplete."""
        questions = [q for host, spans in windows.items() for q in _questions(host, access[host], spans)]
        results: dict[str, list[tuple[CalendarAccess, Busy | Unreadable]]] = {host: [] for host in windows}
        for answer in self._gather(self._ask, questions):
            results[answer.host].extend(answer.results)
        return {host: _reading(found) for host, found in results.items()}

    def _ask(self, question: _Question) -> _Answer:
        calendars = question.calendars
        if question.token is None:
            return _unread(question, "no-access")
        asked = Interval(question.window.start, question.window.end)
        try:
            found = self._calendars[question.provider].busy(question.token, [c.calendar for c in calendars], asked)
        except ProviderError as error:
            if isinstance(error, Unauthorized):
                self._grants.forget(question.host, calendars[0])
            return _unread(question, error.label)
        missing = Unreadable("not-answered")
        return _Answer(question.host, tuple((c, found.get(c.calendar, missing)) for c in calendars))


def _questions(host: str, access: HostAccess, windows: Sequence[Window]) -> list[_Question]:
    checked = sorted((c for c in access.calendars if c.checked), key=lambda c: c.connection)
    return [
        _Question(host, window, calendars[0].provider, calendars[0].token, calendars)
        for _, group in groupby(checked, key=lambda c: c.connection)
        for calendars in [tuple(group)]
        for window in windows
    ]


def _unread(question: _Question, why: str) -> _Answer:
    return _Answer(question.host, tuple((calendar, Unreadable(why)) for calendar in question.calendars))


def _reading(results: Sequence[tuple[CalendarAccess, Busy | Unreadable]]) -> Reading:
    """Complete only if there was something to read and all of it was read."""
    evidence = [_evidence(calendar, result) for calendar, result in results]
    busy = [Window(i.start, i.end) for _, result in results if isinstance(result, Busy) for i in result.intervals]
    return Reading(busy, evidence, bool(evidence) and all(e.complete for e in evidence))


def _evidence(calendar: CalendarAccess, result: Busy | Unreadable) -> CalendarEvidence:
    if isinstance(result, Busy):
        return CalendarEvidence(provider=calendar.provider, complete=True, as_of=result.as_of)
    metrics.CALENDARS_UNREADABLE.labels(calendar.provider, result.why).inc()
    return CalendarEvidence(provider=calendar.provider, complete=False, why=result.why)

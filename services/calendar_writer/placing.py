"""Acting on the providers' calendars: many jobs side by side, at most a few per mailbox, each with an outcome of its own."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from libs.contracts.events import Provider
from libs.contracts.questions import CalendarAccess, Detail
from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE, Outcome, Poison, Retry
from libs.messaging.grants import Grants
from libs.providers.errors import (
    DeletedByHost,
    ProviderError,
    Refused,
    SwitchedOff,
    TryLater,
    Unauthorized,
    Unreachable,
)
from libs.providers.port import Calendar, Entry
from libs.telemetry import trace
from libs.telemetry.logs import logger
from services.calendar_writer.domain import Effect, Standing, Want, came_out
from services.calendar_writer.texts import description, title


@dataclass(frozen=True, slots=True)
class Job:
    """One entry to write or remove. The effect is stored as intended before the job is done.

    `settling`: the last write was so short a time ago that an entry which is not found may stand all the same.
    """

    wanted: Want
    effect: Effect
    calendar: CalendarAccess
    detail: Detail | None
    settling: bool = False

    @property
    def for_good(self) -> bool:
        """Whether a removed entry shall leave no text in a bin: its person is erased, or its booking is not known any more."""
        return self.detail is None or self.detail.erased


@dataclass(frozen=True, slots=True)
class Result:
    """How a job came out. `told`: an event tells of it. `stale`: the token was not accepted, and nothing was done.
    `acted`: an entry was made or changed, or may have been.
    """

    booking: str
    effect: Effect
    outcome: Outcome
    told: bool = True
    stale: bool = False
    acted: bool = False


Gather = Callable[[Callable[[Job], Result], Sequence[Job]], Iterable[Result]]


class Placing:
    """Does jobs with the providers' adapters."""

    def __init__(
        self,
        calendars: Mapping[Provider, Calendar],
        grants: Grants,
        gather: Gather,
        in_time: Callable[[Effect], bool] = lambda _: True,
    ) -> None:
        """`in_time` says whether what is begun now will be over before the effect's lease is."""
        self._calendars = calendars
        self._grants = grants
        self._gather = gather
        self._in_time = in_time

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """Do all jobs. Never raises for a provider: every job has a result."""
        return list(self._gather(self._do, jobs))

    def _do(self, job: Job) -> Result:
        # What waited behind others for too long, somebody else may have in hand before it is over.
        if not self._in_time(job.effect):
            return _not_now(job)
        try:
            with trace.about(job.effect.booking):
                return self._done(job)
        except Unauthorized as error:
            self._grants.forget(job.effect.host, job.calendar)
            return replace(_put_off(job, error), stale=True)
        except ProviderError as error:
            return _failed(job, error)
        except Exception as error:  # noqa: BLE001 - a fault of our own in one job must not leave the others without an end
            logger().error("job failed", booking=job.effect.booking, error=error)
            return _result(job, Standing.INTENDED, Retry(Reason.HANDLER_FAILED), Reason.HANDLER_FAILED)

    def _done(self, job: Job) -> Result:
        adapter, token, calendar = (
            self._calendars[job.calendar.provider],
            job.calendar.token or "",
            job.calendar.calendar,
        )
        if job.wanted is Want.REMOVE:
            found = adapter.remove(token, calendar, entry_of(job.effect), for_good=job.for_good)
            if job.settling and not found:
                return _not_now(job)
            return Result(job.effect.booking, came_out(job.effect, Standing.REMOVED), DONE)
        if job.detail is None or job.detail.entry is None:
            # Its texts do not open, and an entry without them helps nobody.
            return _result(job, Standing.FAILED, Poison(Reason.SEAL_UNREADABLE), Reason.SEAL_UNREADABLE)
        placed = adapter.put(token, calendar, entry_of(job.effect, job.detail))
        written = came_out(job.effect, Standing.WRITTEN, remote_id=placed.remote_id)
        return Result(job.effect.booking, written, DONE, acted=True)


def entry_of(effect: Effect, detail: Detail | None = None) -> Entry:
    """The entry as the provider's adapter takes it; with its texts where they are given."""
    texts = detail.entry if detail else None
    return Entry(
        event_id=effect.event_id,
        transaction_id=effect.transaction_id,
        mark=effect.mark,
        start=effect.start or effect.since,
        end=effect.end or effect.since,
        title=title(texts) if texts else "",
        description=description(texts, effect.booking) if texts else "",
        remote_id=effect.remote_id,
        tried_before=effect.attempts > 1 or effect.remote_id is not None,
    )


def _failed(job: Job, error: ProviderError) -> Result:
    if isinstance(error, DeletedByHost):
        doubtful = job.settling and not error.told
        return _not_now(job) if doubtful else _result(job, Standing.REMOVED, DONE, error.reason)
    if isinstance(error, Refused):
        return _result(job, Standing.FAILED, Poison(error.reason), error.reason)
    # What nobody answered may have been done.
    unclear = isinstance(error, Unreachable | SwitchedOff)  # switched off in the middle of it, say
    return replace(_put_off(job, error), acted=unclear and job.wanted is Want.WRITE)


def _put_off(job: Job, error: ProviderError) -> Result:
    after = error.retry_after if isinstance(error, TryLater) else None
    return _result(job, Standing.INTENDED, Retry(error.reason, after), error.reason)


def _not_now(job: Job) -> Result:
    reason = Reason.PROVIDER_UNAVAILABLE
    return _result(job, Standing.INTENDED, Retry(reason), reason)


def _result(job: Job, standing: Standing, outcome: Outcome, reason: Reason) -> Result:
    return Result(job.effect.booking, came_out(job.effect, standing, reason=reason), outcome)

"""How a job is kept and written while it is worked, and one look at the dead letters for several of them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from libs.messaging.errors import BusUnavailable
from libs.messaging.letters import Found
from libs.mongo.errors import StoreUnavailable
from libs.mongo.outbox import Pending
from libs.telemetry.logs import logger
from services.booking.desk import Desk
from services.booking.erasing import Eraser
from services.booking.erasure import Job

LEASE = timedelta(seconds=15)
"""So long a job is left to whoever works at it, from its last save on."""
WANING = timedelta(seconds=10)
"""Whoever is still at it with less than that left says so. What is done between two such words takes less."""


class MovedOn(Exception):
    """Somebody else has worked at the job."""


def written(job: Job, desk: Desk, events: Sequence[Pending] = ()) -> Job:
    """The job as it stands after this write. Raises MovedOn."""
    saved = desk.erasures.save(job, events)
    if saved is None:
        raise MovedOn
    return saved


def kept(job: Job, desk: Desk) -> Job:
    """The same in the middle of a round: it stays ours for another while."""
    return written(replace(job, due=desk.clock() + LEASE), desk)


def held(job: Job, desk: Desk) -> Job:
    """The job, ours for another while if it soon were not: two replicas that take it from each other never end it.

    Raises MovedOn, StoreUnavailable.
    """
    return kept(job, desk) if job.due - desk.clock() < WANING else job


def letters_sifted(jobs: Sequence[Job], drained_before: set[str], eraser: Eraser) -> Sequence[Job]:
    """The jobs after a look at the dead letters, one for all; the letters that are about their persons are gone.

    Only a look that began after all queues had been empty says that none is left: what waited there may have become a letter.
    """
    sifting = _Sifting([job for job in jobs if not job.calm], drained_before, eraser)
    try:
        if sifting.jobs:
            eraser.letters.sift(sifting.unwanted, sifting.before)
            sifting.end()
    except (BusUnavailable, StoreUnavailable, MovedOn) as error:
        logger().warning("dead letters not sifted", error=type(error).__name__)
    except Exception as error:  # noqa: BLE001 - a fault of our own with one letter must not keep every receipt back
        logger().error("dead letters not sifted", error=error)
    return [sifting.jobs.get(job.id, job) for job in jobs]


class _Sifting:
    """One look at the letters for several jobs. `jobs` are as they stand by now."""

    def __init__(self, jobs: Sequence[Job], drained_before: set[str], eraser: Eraser) -> None:
        self.jobs = {job.id: job for job in jobs}
        self._drained_before = drained_before
        self._eraser = eraser
        self._names: dict[str, set[str]] = {job.id: set() for job in jobs}
        self._unreadable = 0

    def unwanted(self, found: Found, body: bytes) -> bool:
        """Whether it is about any of the persons. Raises StoreUnavailable, MovedOn."""
        self._hold()
        about = self._eraser.reader.about(found, body)
        self._unreadable += not about.readable
        whose = [job.id for job in self.jobs.values() if job.person in about.persons]
        for id in whose:
            self._names[id].add(found.name)
        return bool(whose)

    def _hold(self) -> None:
        """Stay at the jobs however many letters there are. One that has moved on is let go, unless a letter was found for it:
        then nothing may be destroyed, since nobody would count it."""
        for id, job in list(self.jobs.items()):
            try:
                self.jobs[id] = held(job, self._eraser.desk)
            except MovedOn:
                if self._names[id]:
                    raise
                del self.jobs[id], self._names[id]

    def before(self) -> None:
        """Write down what is about to be destroyed. Raises StoreUnavailable, MovedOn."""
        for id, names in self._names.items():
            if names:
                letters = tuple(sorted({*self.jobs[id].letters, *names}))
                self.jobs[id] = kept(replace(self.jobs[id], letters=letters), self._eraser.desk)

    def end(self) -> None:
        """All letters were looked at, and those that had to go are gone."""
        for id, job in self.jobs.items():
            calm = id in self._drained_before and not self._names[id]
            self.jobs[id] = replace(job, calm=calm, unreadable=self._unreadable)

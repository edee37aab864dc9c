"""Asking many calendars side by side, in greenlets."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import eventlet
from eventlet import GreenPool, Timeout
from eventlet.queue import Empty, Queue

from libs.telemetry import trace

Q = TypeVar("Q")
A = TypeVar("A")


class SideBySide:
    """Asks at most so many at once for those who hurry, and as many for those who wait: neither takes the other's places.

    Those who wait hear every `pause` seconds of what has come.
    """

    def __init__(self, most: int, pause: float = 1.0) -> None:
        self._hurried, self._waited = GreenPool(most), GreenPool(most)
        self._pause = pause

    def soon(self, ask: Callable[[Q], A], questions: Sequence[Q], within: float) -> list[A | None]:
        """The answers that come within so many seconds; None for the others, which are asked on to their end all the same."""
        answers: list[A | None] = [None] * len(questions)

        mine = trace.held()

        def put(at: int, question: Q) -> None:
            with trace.taken(mine):
                answers[at] = ask(question)

        with Timeout(within, False):
            for asked in [self._hurried.spawn(put, at, question) for at, question in enumerate(questions)]:
                asked.wait()
        return list(answers)  # what comes later is not for those who asked now

    def waves(self, ask: Callable[[Q], A], questions: Sequence[Q]) -> Iterator[Mapping[int, A]]:
        """Every answer, by the place of its question, as they come: the slow ones do not keep the others waiting."""
        landed: Queue = Queue()

        mine = trace.held()

        def put(at: int, question: Q) -> None:
            try:
                with trace.taken(mine):
                    answer = ask(question)
                landed.put((at, answer, None))
            except Exception as error:  # noqa: BLE001 - raised again below, where somebody waits for it
                landed.put((at, None, error))

        eventlet.spawn(lambda: [self._waited.spawn_n(put, at, each) for at, each in enumerate(questions)])
        left = len(questions)
        while left:
            wave: dict[int, A] = self._wave(landed, left)
            left -= len(wave)
            yield wave

    def _wave(self, landed: Queue, most: int) -> dict[int, A]:
        wave: dict[int, A] = {}
        until = time.monotonic() + self._pause
        while len(wave) < most:
            try:
                at, answer, error = landed.get(timeout=max(0.0, until - time.monotonic())) if wave else landed.get()
            except Empty:
                break
            if error is not None:
                raise error
            wave[at] = answer
        return wave

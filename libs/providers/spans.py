"""Arithmetic on intervals of time."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from libs.providers.errors import Unreachable
from libs.providers.port import Interval


def merged(spans: Iterable[Interval], window: Interval) -> tuple[Interval, ...]:
    """Sorted, cut to the window, overlapping and touching ones joined.

    Raises Unreachable for a span that ends before it starts: an answer that makes no sense is not read as "free".
    """
    joined: list[Interval] = []
    for span in sorted(spans, key=lambda span: span.start):
        if span.end < span.start:
            raise Unreachable("unreadable-answer")
        cut = Interval(max(span.start, window.start), min(span.end, window.end))
        if cut.start >= cut.end:
            continue
        if joined and cut.start <= joined[-1].end:
            joined[-1] = Interval(joined[-1].start, max(joined[-1].end, cut.end))
        else:
            joined.append(cut)
    return tuple(joined)


def pieces(window: Interval, longest: timedelta) -> Iterator[Interval]:
    """The window in consecutive pieces, none longer than `longest`."""
    start = window.start
    while start < window.end:
        end = min(start + longest, window.end)
        yield Interval(start, end)
        start = end


def touching(spans: Iterable[Interval], window: Interval) -> tuple[Interval, ...]:
    """Those that share time with the window, sorted, whole."""
    shared = (span for span in spans if span.start < span.end and span.overlaps(window))
    return tuple(sorted(shared, key=lambda span: (span.start, span.end)))

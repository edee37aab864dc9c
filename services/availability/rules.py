"""When a host may be booked: the hours as UTC, and one span judged by the host's rules. Pure."""

from datetime import datetime, timedelta

from libs.contracts.questions import HostRules
from libs.contracts.reasons import Reason
from services.availability.domain import Window
from services.availability.explaining import BadRules, explained
from services.availability.hours import merged, stretches, timetable
from services.availability.soundness import GRID_MINUTES, checked
from services.availability.zones import instant, seconds, seconds_up

__all__ = ["GRID_MINUTES", "BadRules", "checked", "explained", "fault", "open_windows"]
MINUTE = timedelta(minutes=1)


def open_windows(rules: HostRules, window: Window) -> list[Window]:
    """When the host is open within the window: UTC, half-open, in order, what touches joined.

    Every instant counts as open whose wall-clock time lies inside the hours of its local day. So an hour that the clocks skip
    is not open, one that comes twice is open twice, and hours to 24:00 go on into those of the next day from 00:00. The rules
    are taken to be `checked`.
    """
    start, end = seconds(window.start), seconds_up(window.end)
    spans = merged(stretches(timetable(rules, start, end), start, end)) if start < end else []
    cut = [Window(max(instant(lo), window.start), min(instant(hi), window.end)) for lo, hi in spans]
    return [one for one in cut if one.start < one.end]


def fault(rules: HostRules, span: Window, now: datetime) -> Reason | None:
    """Which of the host's rules the span breaks, or None.

    Buffers need not lie inside the hours. Steps are not judged: they say what is offered, not what can be held.
    """
    if rules.durations_minutes and (span.end - span.start) / MINUTE not in rules.durations_minutes:
        return Reason.DURATION_NOT_OFFERED
    if span.start < now + rules.minimum_notice_minutes * MINUTE:
        return Reason.TOO_SHORT_NOTICE
    if rules.horizon_days is not None and span.start > now + timedelta(days=rules.horizon_days):
        return Reason.TOO_FAR_AHEAD
    return None if open_windows(rules, span) == [span] else Reason.OUTSIDE_HOURS

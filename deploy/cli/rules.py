"""From what was typed to a host's rules, and back to words. Each complaint says what is wrong and what to do."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import msgspec

from deploy.cli import given
from deploy.cli.errors import Misuse
from libs.contracts.questions import HostRules, Hours, Weekday

DAYS: Sequence[str] = get_args(Weekday)
HOURS_FORM = "write it like 'mon-fri 09:00-12:00,13:00-17:00', or 'sat closed'"
OVERRIDE_FORM = "write it like 2030-12-24=closed or 2030-12-31=09:00-12:00,13:00-15:00"
LENGTH = re.compile(r"(\d{1,6})(m|min|h|d)?")
UNITS = {None: 1, "m": 1, "min": 1, "h": 60, "d": 1440}
CLOSED = ("closed", "-")


@dataclass(frozen=True, slots=True)
class Typed:
    """The options of `valet host set`, as they were typed; None and empty ones say nothing."""

    zone: str | None = None
    hours: Sequence[str] = ()
    override: Sequence[str] = ()
    no_override: Sequence[str] = ()
    buffer: str | None = None
    notice: str | None = None
    horizon: str | None = None
    step: int | None = None
    durations: str | None = None
    daily_limit: str | None = None


def changed(rules: HostRules, typed: Typed) -> HostRules:
    """The rules with what was typed changed, and the rest as it is. Raises Misuse."""
    found: dict[str, Any] = msgspec.structs.asdict(rules) | dict(_changes(rules, typed))
    try:
        return msgspec.convert(msgspec.to_builtins(found), HostRules)
    except msgspec.ValidationError as error:
        raise Misuse(f"these rules cannot be: {error}", "see `valet host set --help`") from None


def from_file(path: Path) -> HostRules:
    """Whole rules from a JSON file, as `valet host show --json` gives them under `rules`. Raises Misuse."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise Misuse(f"the file {path} cannot be read", "name a file of JSON") from None
    except ValueError:
        raise Misuse(f"the file {path} is not JSON", "write it as `valet host show HOST --json` gives it") from None
    inner = document.get("rules", document) if isinstance(document, dict) else document
    try:
        return msgspec.convert(inner, HostRules)
    except msgspec.ValidationError as error:
        raise Misuse(f"the file {path} does not hold rules: {error}", "compare `valet host show HOST --json`") from None


def week(texts: Sequence[str]) -> dict[str, list[Hours]]:
    """Weekly hours. Raises Misuse."""
    found: dict[str, list[Hours]] = {}
    for text in texts:
        days, _, spans = text.strip().lower().partition(" ")
        for day in _days(days):
            found.setdefault(day, []).extend(_spans("--hours", spans, HOURS_FORM))
    return found


def minutes(option: str, text: str) -> int:
    """A length of time: 90, 90m, 4h or 2d. Raises Misuse."""
    found = LENGTH.fullmatch(text.strip().lower())
    if not found:
        raise Misuse(f"{option} is not a length of time", "write it like 30m, 4h or 2d")
    return int(found[1]) * UNITS[found[2]]


def in_words(rules: HostRules) -> Iterator[tuple[str, str]]:
    """The rules as lines."""
    yield "time zone", rules.time_zone
    if rules.weekly is None:
        yield "hours", "always"
    else:
        for day in DAYS:
            yield day, _said(rules.weekly.get(day, []))  # type: ignore[call-overload]  # DAYS are the type's own values
    for date in sorted(rules.overrides):
        yield date, _said(rules.overrides[date])
    yield "buffers", f"{rules.buffer_before_minutes} min before, {rules.buffer_after_minutes} min after"
    yield "notice", f"{rules.minimum_notice_minutes} min" if rules.minimum_notice_minutes else "none"
    yield "horizon", f"{rules.horizon_days} days" if rules.horizon_days else "as far as the installation allows"
    yield "starts", f"every {rules.step_minutes} min"
    yield "durations", ", ".join(f"{length} min" for length in rules.durations_minutes) or "any"
    yield "daily limit", str(rules.daily_limit) if rules.daily_limit else "none"


def _changes(rules: HostRules, typed: Typed) -> Iterator[tuple[str, Any]]:
    if typed.zone is not None:
        yield "time_zone", given.zone(typed.zone).key
    if typed.hours:
        always = [text.strip().lower() for text in typed.hours] == ["always"]
        yield "weekly", None if always else week(typed.hours)
    if typed.override or typed.no_override:
        yield "overrides", _overrides(rules, typed)
    if typed.buffer is not None:
        before, sign, after = typed.buffer.partition("/")
        yield "buffer_before_minutes", minutes("--buffer", before)
        yield "buffer_after_minutes", minutes("--buffer", after if sign else before)
    if typed.notice is not None:
        yield "minimum_notice_minutes", minutes("--notice", typed.notice)
    yield from _bounds(typed)


def _bounds(typed: Typed) -> Iterator[tuple[str, Any]]:
    if typed.horizon is not None:
        yield "horizon_days", None if typed.horizon == "none" else _horizon(typed.horizon)
    if typed.step is not None:
        yield "step_minutes", typed.step
    if typed.durations is not None:
        lengths = [] if typed.durations == "any" else typed.durations.split(",")
        yield "durations_minutes", [minutes("--durations", length) for length in lengths]
    if typed.daily_limit is not None:
        yield "daily_limit", None if typed.daily_limit == "none" else _count(typed.daily_limit)


def _overrides(rules: HostRules, typed: Typed) -> dict[str, list[Hours]]:
    found = {day: hours for day, hours in rules.overrides.items() if day not in typed.no_override}
    for day in set(typed.no_override) - set(rules.overrides):
        raise Misuse(f"there is no override on {day}", "see `valet host show`")
    for text in typed.override:
        day, sign, spans = text.strip().lower().partition("=")
        if not sign:
            raise Misuse("--override has no '='", OVERRIDE_FORM)
        found[day] = _spans("--override", spans, OVERRIDE_FORM)
    return found


def _days(text: str) -> Sequence[str]:
    names: list[str] = []
    for part in text.split(","):
        first, sign, last = part.partition("-")
        if first not in DAYS or (sign and last not in DAYS):
            raise Misuse("--hours names a day that is none", HOURS_FORM)
        start, end = DAYS.index(first), DAYS.index(last if sign else first)
        if end < start:
            raise Misuse("--hours has its days the wrong way round", HOURS_FORM)
        names += DAYS[start : end + 1]
    return names


def _spans(option: str, text: str, form: str) -> list[Hours]:
    if text.strip() in CLOSED:
        return []
    found: list[Hours] = []
    for part in text.split(","):
        start, sign, end = (piece.strip() for piece in part.partition("-"))
        try:
            found.append(msgspec.convert({"start": start, "end": end}, Hours))
        except msgspec.ValidationError:
            sign = ""
        if not sign:
            raise Misuse(f"{option} has hours that are none", form)
    return found


def _horizon(text: str) -> int:
    found = minutes("--horizon", text if text.strip().lower().endswith(("d", "h", "m")) else f"{text}d")
    if found % 1440:
        raise Misuse("--horizon is not a number of days", "write it like 60d")
    return found // 1440


def _count(text: str) -> int:
    if not text.isdecimal():
        raise Misuse("--daily-limit is not a number", "give a number, or none")
    return int(text)


def _said(hours: Sequence[Hours]) -> str:
    return ", ".join(f"{span.start}-{span.end}" for span in hours) or "closed"

"""What is wrong with rules that could not even be read, in words for the person who wrote them. Pure."""

import re
from collections.abc import Callable

from libs.contracts.questions import HostRules, Hours
from services.availability.hours import WEEKDAYS

_NAMES = {
    "int": "a whole number",
    "float": "a fraction",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "object | null": "an object, or null",
    "int | null": "a whole number, or null",
    "null": "null",
}
_FIELDS = {"HostRules": HostRules.__struct_fields__, "Hours": Hours.__struct_fields__}
_KNOWN = {name for fields in _FIELDS.values() for name in fields}
_PLACE = re.compile(r" - at (?P<key>`key` in )?`\$(?P<path>[^`]*)`\Z")
_LONGEST = 40


class BadRules(ValueError):
    """Rules that cannot be used. The text names each field at fault and what to do about it."""


def explained(error: Exception) -> BadRules:
    """What an error of msgspec (or of UTF-8) in reading HostRules means. Repeats nothing longer than 40 characters of the input."""
    if isinstance(error, UnicodeDecodeError):
        return BadRules("the rules are not UTF-8 text")
    text = str(error)
    place = _PLACE.search(text)
    what = text[: place.start()] if place else text
    for pattern, words in _MEANINGS:
        if found := pattern.match(what):
            return BadRules(f"{_where(place)}: {words(found, _where(place))}")
    return BadRules("the rules are not valid JSON: look for a missing quote, comma or bracket")


def clipped(text: str) -> str:
    """In quotes, without control characters, and not too long."""
    return repr(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")


def _where(place: re.Match[str] | None) -> str:
    """The field, as in `weekly.<day>[0].start`. A path that has names other than ours was made up by whoever wrote the rules."""
    if place is None or not _KNOWN.issuperset(re.findall(r"[^\W\d]\w*", place["path"])):
        return "rules"
    return place["path"].removeprefix(".").replace("[...]", ".<day>") or "rules"


def _unlike(found: re.Match[str], where: str) -> str:
    expected, got = (_NAMES.get(name, name) for name in found.groups())
    return f"must be {expected}, not {got}"


def _bounded(found: re.Match[str], where: str) -> str:
    kind, length, relation, number = found.groups()
    bound = f"at {'least' if relation == '>=' else 'most'} {number}"
    things = {"str": "characters", "array": "entries", "object": "days"}.get(kind, "")
    return f"must have {bound} {things}" if length else f"must be {bound}"


def _patterned(found: re.Match[str], where: str) -> str:
    if where == "overrides":
        return "every day must be written YYYY-MM-DD, as in 2030-12-24"
    return "must be a time HH:MM, as in 09:00 (24:00 only as an end)"


def _unknown_field(found: re.Match[str], where: str) -> str:
    fields = _FIELDS["HostRules" if where == "rules" else "Hours"]
    return f"has no field {clipped(found[1])}: there are {', '.join(fields)}"


_MEANINGS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], str]], ...] = (
    (re.compile(r"Object contains unknown field `(.*?)`", re.DOTALL), _unknown_field),
    (re.compile(r"Object missing required field `(\w+)`"), lambda found, _: f"needs {found[1]}"),
    (
        re.compile(r"Invalid enum value '?(.*?)'?\Z", re.DOTALL),
        lambda found, _: f"{clipped(found[1])} is not a weekday: use {', '.join(WEEKDAYS)}",
    ),
    (re.compile(r"Expected `(\w+)` matching regex "), _patterned),
    (re.compile(r"Expected `(\w+)` (of length )?([<>]=) (\d+)"), _bounded),
    (re.compile(r"Expected `([^`]*)`, got `([^`]*)`"), _unlike),
)

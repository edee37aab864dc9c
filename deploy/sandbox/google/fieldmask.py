"""Google's `fields` parameter: partial answers. developers.google.com/workspace/calendar/api/guides/performance."""

import re
from typing import Any

from deploy.sandbox.google.errors import Refused

Mask = dict[str, "Mask"]


def parse(text: str) -> Mask:
    """`id,items(id,start/dateTime)` as nested names; an empty inner mask means everything. Refused if malformed."""
    tokens = re.findall(r"[A-Za-z0-9_*@.-]+|[,()/]", text)
    if "".join(tokens) != text.replace(" ", ""):
        raise _invalid(text)
    mask = _list(tokens)
    if tokens:
        raise _invalid(text)
    return mask


def _list(tokens: list[str]) -> Mask:
    mask: Mask = {}
    while True:
        _item(tokens, mask)
        if not tokens or tokens[0] != ",":
            return mask
        tokens.pop(0)


def _item(tokens: list[str], mask: Mask) -> None:
    if not tokens or tokens[0] in ",()/":
        raise _invalid("".join(tokens))
    inner = mask.setdefault(tokens.pop(0), {})
    following = tokens[0] if tokens else ""
    if following == "/":
        tokens.pop(0)
        _item(tokens, inner)
    elif following == "(":
        tokens.pop(0)
        inner.update(_list(tokens))
        if not tokens or tokens.pop(0) != ")":
            raise _invalid("(")


def _invalid(text: str) -> Refused:
    return Refused(
        400, "invalidParameter", f"Invalid field selection {text[:80]}", location="fields", locationType="parameter"
    )


def masked(value: Any, mask: Mask) -> Any:
    """The part of an answer the mask asks for."""
    if not mask or "*" in mask:
        return value
    if isinstance(value, list):
        return [masked(item, mask) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: masked(value[name], inner) for name, inner in mask.items() if name in value}

"""Arguments of questions, checked."""

from typing import Any, Final

import msgspec

HOST: Final = "host: 1 to 64 of a-z 0-9 . _ -, starting with a letter or digit"
CONNECTION: Final = "connection: one of this host's connections, as `hosts` lists them"


class BadQuestion(Exception):
    """An argument cannot be used. The text names it and what it must be, never what it was."""


def checked(value: object, kind: Any, must: str) -> Any:
    """The value as `kind` (a type msgspec knows). Raises BadQuestion with `must`."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        raise BadQuestion(must) from None

"""What a question and its answer look like on the wire: nameko's RPC."""

from typing import Any

import msgspec

JSON = "application/json"
TOO_LARGE = "AnswerTooLarge"
"""The label of the error when an answer would be larger than MAX_REPLY: ask for less at once."""
MAX_REPLY = 900_000
"""Bytes; the broker takes no message over a mebibyte."""


class Question(msgspec.Struct, frozen=True):
    """What nameko puts into a request."""

    args: list[Any] = []
    kwargs: dict[str, Any] = {}


class Failure(msgspec.Struct, frozen=True):
    """An error as nameko clients read it. `exc_type` is a label; values and arguments stay empty."""

    exc_type: str
    exc_path: str = ""
    exc_args: list[Any] = []
    value: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What nameko expects in a reply."""

    result: Any = None
    error: Failure | None = None

"""The answering side of a question: arguments checked by the method's annotations, errors turned into labels."""

import inspect
import time
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

import msgspec

from libs.messaging.bodies import MAX_REPLY, TOO_LARGE, Answer, Failure, Question
from libs.messaging.errors import BadArguments
from libs.telemetry import metrics, tracing
from libs.telemetry.logs import logger

FAILED = "Failed"
"""The label of every error that was not expected."""


class Arguments:
    """The arguments a method takes, checked by its annotations: what is not of the right type goes no further."""

    def __init__(self, fields: Mapping[str, tuple[Any, bool]]) -> None:
        self._fields = fields

    @classmethod
    def of(cls, method: Callable[..., Any]) -> "Arguments":
        """Read them off a method (its first parameter is self)."""
        hints = get_type_hints(method, include_extras=True)  # with what Annotated says of them
        parameters = list(inspect.signature(method).parameters.values())[1:]
        return cls({p.name: (hints[p.name], p.default is p.empty) for p in parameters})

    def check(self, question: Question) -> dict[str, Any]:
        """The arguments by name. Raises BadArguments."""
        if len(question.args) > len(self._fields):
            raise BadArguments("too many arguments")
        given = dict(zip(self._fields, question.args, strict=False)) | question.kwargs
        unknown = set(given) - set(self._fields)
        missing = [name for name, (_, needed) in self._fields.items() if needed and name not in given]
        if unknown or missing:
            raise BadArguments(f"takes {', '.join(self._fields) or 'no arguments'}")
        return {name: self._converted(name, value) for name, value in given.items()}

    def _converted(self, name: str, value: Any) -> Any:
        try:
            return msgspec.convert(value, self._fields[name][0])
        except msgspec.ValidationError:
            raise BadArguments(f"{name} is not of the right type") from None


class Answers:
    """The other side: turns a request message into a reply. Errors become labels; texts of exceptions stay at home."""

    def __init__(
        self,
        answer: Callable[..., Any],
        arguments: Arguments,
        expected: tuple[type[Exception], ...] = (),
        question: str = "unknown",
    ) -> None:
        """`question` is what it is called in metrics: `<service>.<method>`."""
        self._question = question
        self._answer = answer
        self._arguments = arguments
        self._expected: tuple[type[Exception], ...] = (BadArguments, *expected)

    def reply(self, body: bytes) -> bytes:
        """The body of the reply, whatever happens."""
        started = time.monotonic()
        labels = {"rpc.system": "nameko", "rpc.method": self._question}
        with tracing.span(f"answer {self._question}", "server", labels) as span:
            encoded, outcome = self._encoded(self._result(body))
            span.note({"valet.outcome": outcome}, failed=outcome == "failed")
        metrics.RPC_ANSWERED.labels(self._question, outcome).observe(time.monotonic() - started)
        return encoded

    def _encoded(self, answer: Answer) -> tuple[bytes, str]:
        """The reply, and how that is counted."""
        try:
            encoded = msgspec.json.encode(answer)
        except Exception as error:  # noqa: BLE001 - an answer that cannot be encoded is a failure like any other
            logger().error("answer not encoded", question=self._question, error=error)
            return msgspec.json.encode(Answer(error=Failure(FAILED))), "failed"
        if len(encoded) > MAX_REPLY:
            return msgspec.json.encode(Answer(error=Failure(TOO_LARGE))), "too-large"
        if answer.error is None:
            return encoded, "answered"
        return encoded, "failed" if answer.error.exc_type == FAILED else "refused"

    def _result(self, body: bytes) -> Answer:
        try:
            question = msgspec.json.decode(body, type=Question)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return Answer(error=Failure("MalformedQuestion"))
        try:
            return Answer(self._answer(**self._arguments.check(question)))
        except self._expected as error:
            return Answer(error=Failure(type(error).__name__, value=str(error)))
        except Exception as error:  # noqa: BLE001 - the one who asks learns that it failed, and no more
            logger().error("question failed", question=self._question, error=error)
            return Answer(error=Failure(FAILED))

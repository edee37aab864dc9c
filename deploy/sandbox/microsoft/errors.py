"""Graph's error body. Shape: learn.microsoft.com/graph/errors."""

import uuid

from deploy.sandbox.call import JSON, Call
from deploy.sandbox.times import now


def graph_error(code: int, reason: str, message: str) -> JSON:
    """An error answer."""
    request = str(uuid.uuid4())
    inner = {"date": now().strftime("%Y-%m-%dT%H:%M:%S"), "request-id": request, "client-request-id": request}
    return JSON({"error": {"code": reason, "message": message, "innerError": inner}}, code)


class Refused(Exception):
    """A request Graph would refuse; carries the answer."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.answer = graph_error(code, reason, message)


def nothing_here(_: Call) -> JSON:
    """400, as Graph says it: an address the sandbox does not play. It is recorded all the same."""
    return graph_error(400, "BadRequest", "Resource not found for the segment: the sandbox does not play this address.")


def not_found() -> Refused:
    """404 for an event or a calendar that is not there, or no longer."""
    return Refused(404, "ErrorItemNotFound", "The specified object was not found in the store.")

"""One request to a provider, as a handler sees it, and the answers handlers give."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.responses import Response

from deploy.sandbox.accounts import Account
from deploy.sandbox.faults import Fault
from deploy.sandbox.grants import Token
from deploy.sandbox.world import World


@dataclass(slots=True)
class Call:
    """A request that has been read. `base` is the address the client used for the sandbox, without a slash at the end."""

    world: World
    operation: str
    method: str
    base: str
    path: str
    parameters: Mapping[str, str]
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    token: Token | None = None
    fault: Fault | None = None
    _json: Any = field(default=msgspec.UNSET)

    def first(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return self.query.get(name, [default])[0]

    @property
    def is_json(self) -> bool:
        """Whether the body claims to be JSON."""
        return "json" in self.headers.get("content-type", "")

    def json(self) -> Any:
        """The body as JSON. msgspec.DecodeError (a ValueError) if it is not."""
        if self._json is msgspec.UNSET:
            try:
                self._json = msgspec.json.decode(self.body)
            except RecursionError as deep:
                raise ValueError("the JSON is nested too deeply") from deep
        return self._json

    def form(self) -> dict[str, list[str]]:
        """The body as a form; a body that is not UTF-8 counts as an empty form."""
        try:
            return parse_qs(self.body.decode(), keep_blank_values=True)
        except UnicodeDecodeError:
            return {}

    @property
    def person(self) -> Account:
        """Whose access token this is. Only after the door has checked the token."""
        if self.token is None:
            raise RuntimeError(f"{self.operation} is not behind the token check")
        return self.token.account


Handler = Callable[[Call], Response]


class JSON(Response):
    """A JSON answer."""

    media_type = "application/json; charset=utf-8"

    def render(self, content: Any) -> bytes:
        """Encoded by msgspec, the fastest there is."""
        return msgspec.json.encode(content)


def empty(status: int = 204) -> Response:
    """An answer without a body."""
    return Response(status_code=status)

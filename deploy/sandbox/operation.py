"""One operation of a provider as an ASGI endpoint: read, record, check the token, do it, and let a fault strike."""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from deploy.sandbox.accounts import Account, Provider
from deploy.sandbox.call import Call, Handler
from deploy.sandbox.requestlog import HEADERS, field_names, shown_query
from deploy.sandbox.strike import answer_with
from deploy.sandbox.world import World

LARGEST_BODY: Final = 4_000_000
Door = Callable[[Call], Response | None]  # checks the token and its scopes; an answer means: not let in


class Operation:
    """One named operation (`google.events.insert`), as Starlette routes it."""

    def __init__(self, world: World, name: str, path: str, handler: Handler, door: Door | None = None) -> None:
        self.world = world
        self.name = name
        self.path = path
        self.handler = handler
        self.door = door
        self.provider: Provider = "google" if name.startswith("google.") else "microsoft"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        call = await self._read(Request(scope, receive))
        account = self._account(call)
        entry = self.world.log.add(_entry(call, account))
        self.world.traffic.add(entry, self.path)
        call.fault = self.world.faults.choose(self.name, account.email if account else "")
        entry["fault"] = call.fault.spec.kind if call.fault else ""
        with _InFlight(self.world, account):
            await answer_with(call, self._do, entry, (scope, receive, send))

    def _do(self, call: Call) -> Response:
        if len(call.body) > LARGEST_BODY:
            return Response("Request Entity Too Large", status_code=413)
        refused = self.door(call) if self.door else None
        return refused if refused is not None else self.handler(call)

    async def _read(self, request: Request) -> Call:
        body = bytearray()
        async for chunk in request.stream():
            if len(body) <= LARGEST_BODY:
                body += chunk
        call = Call(
            world=self.world,
            operation=self.name,
            method=request.method,
            base=f"{request.url.scheme}://{request.headers.get('host', 'localhost')}",
            path=request.url.path,
            parameters=request.path_params,
            query=parse_qs(request.url.query, keep_blank_values=True),
            headers=request.headers,
            body=bytes(body),
        )
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            call.token = self.world.grants[self.provider].bearer(value.strip())
        return call

    def _account(self, call: Call) -> Account | None:
        if call.token is not None:
            return call.token.account
        scheme, _, value = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" and call.method == "POST":
            value = call.form().get("refresh_token", call.form().get("token", [""]))[0]
        return self.world.grants[self.provider].owner(value)


def _entry(call: Call, account: Account | None) -> dict[str, Any]:
    return {
        "provider": call.operation.partition(".")[0],
        "operation": call.operation,
        "account": account.email if account else "",
        "method": call.method,
        "path": call.path,
        "query": shown_query(call.query),
        "headers": {name: call.headers[name] for name in HEADERS if name in call.headers},
        "header_names": sorted({name[:40] for name in call.headers} - {"host"})[:40],
        "fields": _body_fields(call),
        "scopes": sorted(call.token.scopes) if call.token else [],
        "status": 0,
        "fault": "",
    }


def _body_fields(call: Call) -> list[str]:
    if not call.body:
        return []
    try:
        return field_names(call.json()) if call.is_json else sorted(call.form())
    except ValueError:
        return ["(unreadable)"]


class _InFlight:
    """Counts a person's calls that are being served, and remembers the most there ever were at once."""

    def __init__(self, world: World, account: Account | None) -> None:
        self.world = world
        self.key = f"{account.provider}:{account.email}" if account else ""

    def __enter__(self) -> None:
        count = self.world.in_flight.get(self.key, 0) + 1
        self.world.in_flight[self.key] = count
        self.world.most_in_flight[self.key] = max(count, self.world.most_in_flight.get(self.key, 0))

    def __exit__(self, *_: object) -> None:
        self.world.in_flight[self.key] = self.world.in_flight.get(self.key, 1) - 1

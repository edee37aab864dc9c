"""What can go wrong on the bus.

MessagingError
├── BusUnavailable       not connected, or no confirm in time: what was sent may or may not have arrived
├── Unroutable           the broker has no queue for it
└── RpcError
    ├── ServiceUnavailable   nobody answers to that name, or not in time
    ├── BadArguments         the question cannot be answered as it was put
    └── RpcFailed            the other side answered that it failed; `kind` is its label
"""


class MessagingError(Exception):
    """The base. Texts never quote a message."""


class BusUnavailable(MessagingError):
    """The broker cannot be reached or does not confirm."""


class Unroutable(MessagingError):
    """A mandatory message reached no queue."""


class RpcError(MessagingError):
    """A question without a good answer."""


class ServiceUnavailable(RpcError):
    """No answer within the deadline."""


class BadArguments(RpcError):
    """A question with arguments that its method does not take; the text names the argument, not its value."""


class RpcFailed(RpcError):
    """The other side failed: `kind` is its label, `detail` what it says of it (for errors that it declares, else empty)."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"the other service failed: {kind}")
        self.kind = kind
        self.detail = detail

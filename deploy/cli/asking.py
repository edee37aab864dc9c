"""Questions to the services, with trouble put into words."""

from typing import Any, TypeVar

import msgspec
import typer

from deploy.cli import environment
from deploy.cli.base import screen_of
from deploy.cli.errors import Trouble
from deploy.cli.screen import Screen
from libs.config.settings import Settings
from libs.messaging.errors import RpcFailed, ServiceUnavailable
from libs.messaging.link import Link
from libs.messaging.rpc import Ask

NAME = "valet-command"
T = TypeVar("T")


class Questions:
    """Asks services, for a person who waits."""

    def __init__(self, settings: Settings) -> None:
        self._ask = Ask(Link(settings, NAME), settings.rpc_timeout)

    def __call__(self, service: str, method: str, *args: Any) -> Any:
        """The answer as plain JSON values. Raises Trouble."""
        try:
            return self._ask(service, method, *args)
        except ServiceUnavailable as error:
            raise Trouble(f"no answer from {service} ({error})", "run `valet doctor` to see what is down") from None
        except RpcFailed as error:
            if error.detail:  # an answer that it declares: it says what is wrong with the question
                raise Trouble(f"{service} refuses this: {error.detail}", "ask for something else") from None
            do = f"look into the log of {service}; `valet doctor` shows what it lacks"
            raise Trouble(f"{service} could not answer {method}: {error.kind}", do) from None

    def close(self) -> None:
        """Close the connection."""
        self._ask.close()


def understood(answer: Any, shape: type[T], service: str) -> T:
    """The answer in its shape. Raises Trouble if the service speaks another version."""
    try:
        return msgspec.convert(answer, shape)
    except msgspec.ValidationError:
        raise Trouble(f"the answer of {service} is not understood", "use the `valet` command of its release") from None


def ask(context: typer.Context, service: str, method: str, *args: Any) -> tuple[Screen, Any]:
    """Put one question. Raises Trouble."""
    questions = Questions(bus_settings())
    try:
        return screen_of(context), questions(service, method, *args)
    finally:
        questions.close()


def bus_settings() -> Settings:
    """The settings, the bus's among them. Raises Trouble."""
    return environment.settings("amqp_url")

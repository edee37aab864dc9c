"""The switches: what is off gets nothing, and every process learns it from auth."""

from typing import Any

import pytest
import requests
from nameko.timer import Timer
from prometheus_client import REGISTRY

from libs.config.settings import Settings
from libs.contracts.reasons import Reason
from libs.messaging.errors import RpcFailed, ServiceUnavailable
from libs.messaging.grants import AuthUnavailable
from libs.messaging.switched import EVERY, Learner
from libs.providers.breaker import FAILURES, Breaker, Circuit
from libs.providers.egress import Door
from libs.providers.errors import SwitchedOff, TryLater, Unreachable
from libs.providers.switches import Switches
from libs.testing.leaks import captured_logs
from services.availability.service import AvailabilityService
from services.calendar_writer.service import CalendarWriterService

API = "https://www.googleapis.com/calendar/v3/freeBusy"
BODY = {"timeMin": "2030-01-07T00:00:00Z", "timeMax": "2030-01-08T00:00:00Z", "items": [{"id": "primary"}]}


class NoWire:
    """A transport that must not be used."""

    def exchange(self, *_: object, **__: object) -> requests.Response:
        raise Unreachable("used")


def door(switches: Switches) -> Door:
    return Door(Settings(), NoWire(), switches)  # type: ignore[arg-type]  # only `exchange` is used


def shown(provider: str) -> float | None:
    return REGISTRY.get_sample_value("valet_provider_switched_off", {"provider": provider})


def test_the_door_is_shut_for_what_is_off_and_for_nothing_else() -> None:
    switches = Switches()
    with pytest.raises(Unreachable, match="used"):
        door(switches).ask("google", "freebusy.query", API, token="t", body=BODY)
    switches.learn(["google"])
    with pytest.raises(SwitchedOff) as caught:
        door(switches).ask("google", "freebusy.query", API, token="t", body=BODY)
    assert (caught.value.reason, isinstance(caught.value, TryLater)) == (Reason.PROVIDER_SWITCHED_OFF, True)
    switches.learn(["microsoft"])
    with pytest.raises(Unreachable, match="used"):
        door(switches).ask("google", "freebusy.query", API, token="t", body=BODY)


def test_it_is_measured() -> None:
    switches = Switches()
    assert (shown("google"), shown("microsoft")) == (0, 0)
    assert switches.learn(["google"])
    assert (shown("google"), shown("microsoft")) == (1, 0)
    assert not switches.learn(["google"])
    assert switches.learn([])
    assert shown("google") == 0


def test_what_was_not_sent_says_nothing_of_the_provider() -> None:
    # given a circuit that is open, with its pause over
    circuit = Circuit(clock=iter(range(0, 10_000, 100)).__next__, chance=lambda: 0)
    breaker = Breaker("google", circuit)
    for number in range(FAILURES):
        with pytest.raises(Unreachable), breaker.call(f"mailbox-{number}"):
            raise Unreachable("no-connection")
    assert circuit.is_open
    # when the probe is kept back by the switch
    with pytest.raises(SwitchedOff), breaker.call("mailbox"):
        raise SwitchedOff
    # then the circuit is as open as before
    assert circuit.is_open


class Auth:
    """The other side of `auth.providers`."""

    def __init__(self) -> None:
        self.answer: Any = [{"provider": "google", "on": True}, {"provider": "microsoft", "on": True, "why": None}]
        self.trouble: Exception | None = None

    def __call__(self, service: str, method: str, *, deadline: float) -> Any:
        assert (service, method, deadline) == ("auth", "providers", EVERY)
        if self.trouble:
            raise self.trouble
        return self.answer


def learner(auth: Auth) -> tuple[Learner, Switches, list[str]]:
    switches, forgotten = Switches(), list[str]()
    return Learner(auth, switches.learn, lambda: forgotten.append("all")), switches, forgotten  # type: ignore[arg-type]  # asks like Ask


def test_a_process_learns_and_forgets_its_access_when_something_was_switched() -> None:
    auth = Auth()
    look, switches, forgotten = learner(auth)
    assert (look(), forgotten) == (frozenset(), [])
    auth.answer = [{"provider": "google", "on": False}, {"provider": "microsoft", "on": True}]
    assert look() == switches.off == {"google"}
    assert forgotten == ["all"]
    look()
    assert forgotten == ["all"]


@pytest.mark.parametrize(
    "trouble", [ServiceUnavailable("made-up"), RpcFailed("Failed", ""), None], ids=["away", "failing", "odd"]
)
def test_while_auth_does_not_answer_what_was_known_holds_and_that_is_said_once(trouble: Exception | None) -> None:
    auth = Auth()
    look, switches, _ = learner(auth)
    auth.answer = [{"provider": "google", "on": False}]
    look()
    auth.answer, auth.trouble = {"odd": 1}, trouble
    with pytest.raises(AuthUnavailable):
        look()
    with captured_logs() as logs:
        look.look()
        look.look()
    assert switches.off == {"google"}
    assert logs.text.count("not learnt") == 1


@pytest.mark.parametrize("service", [AvailabilityService, CalendarWriterService])
def test_every_replica_asks_for_itself(service: type) -> None:
    # An event reaches one replica of a service only.
    (timer,) = service.learn_switches.nameko_entrypoints  # type: ignore[attr-defined]  # nameko puts them there
    assert isinstance(timer, Timer)
    assert timer.interval == EVERY

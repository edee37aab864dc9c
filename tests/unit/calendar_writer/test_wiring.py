"""What the wiring makes of settings, and how the service talks to itself."""

from datetime import timedelta
from unittest.mock import Mock

import pytest
from eventlet import GreenPool, sleep
from eventlet.event import Event

from libs.config.settings import Settings
from libs.messaging import topology
from libs.messaging.errors import BusUnavailable
from libs.mongo.errors import StoreUnavailable
from libs.testing.bus import FlightRecorder
from libs.testing.clock import START
from libs.testing.events import HOST, booking_id
from libs.testing.grants import calendar_of
from services.calendar_writer.domain import tried
from services.calendar_writer.outgoing import reminder
from services.calendar_writer.service import CalendarWriterService
from services.calendar_writer.wiring import ENTRIES, Aside, EffectMaker, InTime, Reminders, rhythm_of

EFFECT = EffectMaker(b"made-up secret of the entries")(booking_id("mine"), HOST, calendar_of(HOST), START)


def test_reminders_go_into_the_queue_of_the_writer_itself() -> None:
    bus = FlightRecorder()
    method = CalendarWriterService.write_entries.__name__

    assert Reminders(bus)([reminder(EFFECT, START)])
    (sent,) = bus.sent
    assert sent.routing_key == ENTRIES == f"{CalendarWriterService.name}.{method.replace('_', '-')}"
    assert (sent.exchange, sent.mandatory) == (topology.LADDER[0].exchange, True)
    assert sent.expiration is not None
    assert sent.expiration <= 10, "at once"


def test_what_the_bus_does_not_take_is_left_to_the_sweep() -> None:
    bus = FlightRecorder()
    bus.trouble = BusUnavailable("made-up")

    assert not Reminders(bus)([reminder(EFFECT, START)])


@pytest.mark.parametrize("timeout", [5.0, 10.0])
def test_the_settings_are_the_rhythm(timeout: float) -> None:
    settings = Settings(write_patience_hours=2, reconcile_seconds=3, reconcile_days=4, provider_timeout=timeout)
    rhythm = rhythm_of(settings)

    assert (rhythm.patience, rhythm.every, rhythm.ahead) == (
        timedelta(hours=2),
        timedelta(seconds=3),
        timedelta(days=4),
    )
    assert rhythm.lease == timedelta(seconds=6 * timeout)


class TestAside:
    """What is done beside a question: waited for, but not for ever, and not in any number."""

    def test_what_is_over_in_time_is_waited_for_and_its_error_is_raised(self) -> None:
        aside, done = Aside(GreenPool(1)), []

        assert aside(lambda: done.append(1), 10) is True
        assert done == [1]
        with pytest.raises(StoreUnavailable):
            aside(Mock(side_effect=StoreUnavailable), 10)

    def test_what_is_slow_goes_on_and_what_comes_meanwhile_is_not_begun(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        aside, go_on, done = Aside(GreenPool(1)), Event(), Event()

        def slow() -> None:
            go_on.wait()
            done.send(True)
            raise StoreUnavailable

        assert aside(slow, 0.01) is False
        assert aside(lambda: done.send(False), 10) is False
        go_on.send(True)
        assert done.wait(10) is True
        sleep(0)
        assert aside(lambda: None, 10) is True
        assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("waited", "begins"), [(9, True), (11, False), (61, False)])
def test_what_waited_too_long_to_end_before_its_lease_is_not_begun(waited: int, begins: bool) -> None:
    # given a try whose lease of 60 s began a while ago, and that may take 50 s: five time-outs of the provider
    effect = tried(EFFECT, 2, START, timedelta(seconds=60))
    in_time = InTime(10, lambda: START + timedelta(seconds=waited))

    assert in_time(effect) is begins

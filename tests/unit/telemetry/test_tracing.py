"""Spans: made where a collector is set and the trace is to be kept, and nowhere else."""

import os
import subprocess
import sys

import pytest

from libs.config.settings import Settings, header_pairs
from libs.telemetry import trace, tracing
from libs.telemetry.trace import Work
from libs.testing.spans import OWN_TRACE, recorded

KEPT, LEFT = (f"00-{'1' * 32}-{'a' * 16}-0{flag}" for flag in (1, 0))
OTHER = f"00-{'2' * 32}-{'a' * 16}-01"


def test_without_a_collector_nothing_of_the_sdk_is_loaded_and_nothing_is_made() -> None:
    program = (
        "import sys, libs.messaging.runtime, libs.messaging.entrypoints, libs.providers.egress, libs.mongo.client\n"
        "from libs.config.settings import Settings\nfrom libs.telemetry import tracing\n"
        "tracing.configure('booking', Settings())\n"
        "with tracing.span('ask', 'client', {}) as span: assert span is tracing.NOTHING\n"
        "tracing.close()\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("VALET_")}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=plain)

    assert done.stdout.strip() == "[]"


def test_a_span_belongs_to_the_trace_in_hand_and_what_is_done_inside_to_the_span() -> None:
    with recorded() as spans, trace.taken(Work(KEPT, {"bk_mine": OTHER})):
        with tracing.span("ask auth.access_tokens", "client", {"rpc.system": "nameko"}) as span:
            inside = trace.current()
            with trace.about("bk_mine"):
                assert trace.current() == OTHER
            span.note({"valet.outcome": "answered"})
        assert trace.current() == KEPT

    (made,) = spans.made
    assert (made.within, made.parent, made.ended, made.failed) == (KEPT, inside, 1, False)
    assert made.labels == {"rpc.system": "nameko", "valet.outcome": "answered"}


def test_a_span_ends_and_says_no_more_than_that_it_failed() -> None:
    with recorded() as spans, pytest.raises(ValueError, match="ada"), tracing.span("ask", "client", {}):
        raise ValueError("ada@example.com")

    (made,) = spans.made
    assert (made.failed, made.ended) == (True, 1)
    assert "ada" not in repr(made)


def test_what_is_not_to_be_kept_makes_no_spans_and_is_sent_on_as_it_was() -> None:
    with recorded() as spans, trace.taken(Work(LEFT)):
        with tracing.span("ask", "client", {}):
            assert trace.current() == LEFT
        tracing.past("mongodb find", "client", 0.1, {})
        assert tracing.begun("consume booking-held", "consumer", LEFT, {}).parent == LEFT
        assert tracing.begun("consume booking-held", "consumer", None, {}).parent == ""
        assert tracing.gathered("handle booking.decide-holds", [LEFT, LEFT], {}) is tracing.NOTHING

    assert spans.made == []


@pytest.mark.parametrize(("sample", "kept"), [(1.0, True), (0.0, False)])
def test_of_traces_that_begin_here_a_share_is_kept(sample: float, kept: bool) -> None:
    with recorded(sample) as spans:
        with tracing.span("answer booking.details", "server", {}):
            pass
        assert trace.is_sampled(tracing.root()) is kept

    assert bool(spans.made) is kept
    assert not trace.is_sampled(tracing.root()), "nobody keeps it"


def test_work_for_several_traces_is_linked_to_those_that_are_kept() -> None:
    with recorded(0.0) as spans:
        assert (
            trace.id_of(tracing.gathered("handle booking.hold-bookings", [KEPT, LEFT, OTHER], {}).parent) == OWN_TRACE
        )

    assert [made.links for made in spans.made] == [(KEPT, OTHER)]


def test_what_has_just_ended_is_a_span_of_the_trace_in_hand_alone() -> None:
    with recorded() as spans:
        tracing.past("mongodb find", "client", 0.1, {})
        with trace.taken(Work(KEPT)):
            tracing.past("mongodb insert", "client", 0.2, {})

    assert [(made.name, made.within, made.seconds) for made in spans.made] == [("mongodb insert", KEPT, 0.2)]


def test_the_end_sends_what_is_left_and_takes_no_more() -> None:
    with recorded() as spans:
        tracing.close()
        with tracing.span("ask", "client", {}):
            pass

    assert spans.closed
    assert spans.made == []


def test_settings_of_the_collector() -> None:
    settings = Settings.model_validate(
        {
            "otlp_endpoint": "https://collector.example:4318/",
            "otlp_headers": "x-key=a=b, other=two words",
            "trace_sample": 1,
        }
    )

    assert settings.otlp_endpoint == "https://collector.example:4318"
    assert header_pairs(settings.otlp_headers) == {"x-key": "a=b", "other": "two words"}
    assert header_pairs(None) == {}


WRONG: list[dict[str, object]] = [
    {"otlp_endpoint": "http://collector.example"},
    {"trace_sample": 1.1},
    {"otlp_headers": "s3cret"},
    {"otlp_headers": "a=b\nc: d"},
]


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_settings_are_named_and_not_shown(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))) as raised:
        Settings.model_validate(wrong)
    assert "s3cret" not in str(raised.value)

"""What every service's dashboard shows of its work: rate, errors and duration; use and saturation of its workers."""

from deploy.grafana.board import Row
from deploy.grafana.panels import Limits, Panel, Said, graph, number
from deploy.grafana.queries import by, in_time_shown, mean, p99, per_second, picked, quantile, same
from deploy.grafana.units import COUNT, PER_SECOND, SECONDS, SHARE


def events(service: str) -> Row:
    """Rate, errors and duration of the events that a service handles."""
    made = (_handled, _put_off, _given_up, _batch_time, _waited, _timers)
    return Row("Events", [panel(service) for panel in made])


def answers(service: str, width: int = 6) -> Row:
    """Questions that others ask of a service."""
    return Row("Questions", [_answered(service, width), _answer_time(service, width)])


def questions(service: str) -> Row:
    """Questions that others ask of a service, and those that it asks."""
    return Row("Questions", [*answers(service).panels, _asked(service), _asked_time(service)])


def workers(service: str) -> Row:
    """Use and saturation of the workers of a service that handles events."""
    return Row("Workers", [panel(service) for panel in (_in_flight, _batch_size, _lines, _spans)])


def answerers(service: str) -> Row:
    """The same of a service that only answers questions."""
    made = (_in_flight, _timers, _lines, _spans)
    return Row("Workers", [panel(service).span(6) for panel in made])


def effects(service: str) -> Row:
    """What a service leaves behind: events in its outbox, messages to the broker, commands to the store."""
    return Row("Outbox, bus, store", [panel(service) for panel in (_outbox, _outbox_age, _confirmed, _store)])


def _handled(service: str) -> Panel:
    said = Said(
        "Events handled",
        "Per second, by queue and outcome. Good: nearly all `done`. `refuse` is an answer, `retry` comes back by itself, "
        "`poison` is given up.",
        PER_SECOND,
        runbook="valet-queue-stuck.md",
    )
    return graph(said, by(per_second, "valet_events_handled_total", "queue", "outcome", service=service), stacked=True)


def _put_off(service: str) -> Panel:
    said = Said(
        "Events put off, by reason",
        "Per second. Good: few. They come back by themselves; the reason says what they wait for.",
        PER_SECOND,
        Limits(yellow=1),
        runbook="valet-handler-fails.md",
    )
    return graph(said, by(per_second, "valet_events_retried_total", "reason", service=service), stacked=True)


def _given_up(service: str) -> Panel:
    said = Said(
        "Events given up",
        "In the time shown, by queue and reason. Good: 0. Each is a dead letter, and waits for a person: `valet dead`.",
        COUNT,
        Limits(red=1),
        "valet-dead-letters.md",
        height=8,
    )
    given_up = in_time_shown("valet_dead_letters_total", "queue", "reason", service=service)
    return number(said, given_up, "{{queue}} {{reason}}", graphed=False)


def _batch_time(service: str) -> Panel:
    said = Said(
        "Time of a batch, p99",
        "By queue. Good: below a second. Longer means a slow store, broker or provider.",
        SECONDS,
        Limits(yellow=1, red=10),
    )
    return graph(said, by(p99, "valet_batch_seconds", "queue", service=service))


def _waited(service: str) -> Panel:
    said = Said(
        "From first sight to handled, p99",
        "By queue, waits in delays included. Good: below a second while nothing is put off.",
        SECONDS,
        Limits(yellow=5, red=60),
        runbook="valet-queue-backlog.md",
    )
    return graph(said, by(p99, "valet_event_wait_seconds", "queue", service=service))


def _timers(service: str) -> Panel:
    said = Said(
        "Timers, p99",
        "Time of one run of what runs by the clock (relays, sweeps, measurements), and how it ended. Good: below a second.",
        SECONDS,
        Limits(yellow=5),
    )
    return graph(said, by(p99, "valet_timer_seconds", "timer", "outcome", service=service))


def _answered(service: str, width: int) -> Panel:
    said = Said(
        "Questions answered", "Per second, by question and outcome. Good: all `answered`.", PER_SECOND, width=width
    )
    return graph(
        said, by(per_second, "valet_rpc_answer_seconds_count", "question", "outcome", service=service), stacked=True
    )


def _answer_time(service: str, width: int) -> Panel:
    said = Said(
        "Time to answer, p99",
        "By question. Good: below a second. Whoever asks gives up after `VALET_RPC_TIMEOUT` (5 s).",
        SECONDS,
        Limits(yellow=1, red=5),
        width=width,
    )
    return graph(said, by(p99, "valet_rpc_answer_seconds", "question", service=service))


def _asked(service: str) -> Panel:
    said = Said(
        "Questions asked of others",
        "Per second. Good: all `answered`; `unavailable` means that no answer came in time.",
        PER_SECOND,
        runbook="valet-questions-unanswered.md",
        width=6,
    )
    return graph(said, by(per_second, "valet_rpc_seconds_count", "question", "outcome", service=service), stacked=True)


def _asked_time(service: str) -> Panel:
    said = Said(
        "Time to an answer, p99",
        "By question, the way there and back included. Good: below a second.",
        SECONDS,
        Limits(yellow=1, red=5),
        width=6,
    )
    return graph(said, by(p99, "valet_rpc_seconds", "question", service=service))


def _in_flight(service: str) -> Panel:
    said = Said(
        "Batches in flight, of those allowed",
        "By queue, the busiest replica. Good: below 1. At 1 for long the queue grows: look at its depth on the board of bus "
        "and store, and add replicas.",
        SHARE,
        Limits(yellow=0.8, red=1),
        runbook="valet-queue-backlog.md",
        width=6,
    )
    flying = picked("valet_batches_in_flight", service=service)
    return graph(
        said, {"{{queue}}": f"max by (queue) ({flying} / {flying.replace('flight', 'flight_limit')})"}, share=True
    )


def _batch_size(service: str) -> Panel:
    said = Said(
        "Events in a batch, mean",
        "By queue. It grows by itself with the load, up to `VALET_BATCH_SIZE` (200).",
        COUNT,
        width=6,
    )
    return graph(said, by(mean, "valet_batch_size_events", "queue", service=service))


def _lines(service: str) -> Panel:
    said = Said(
        "Log lines",
        "Per second, by level. Good: about one `info` an event; `warning` and `error` are rare.",
        PER_SECOND,
        width=6,
    )
    return graph(said, by(per_second, "valet_log_lines_total", "level", service=service), stacked=True)


def _spans(service: str) -> Panel:
    said = Said(
        "Spans of traces",
        "Per second, by whether the collector took them. Only with `VALET_OTLP_ENDPOINT`. Good: none dropped.",
        PER_SECOND,
        width=6,
    )
    return graph(said, by(per_second, "valet_trace_spans_total", "outcome", service=service), stacked=True)


def _outbox(service: str) -> Panel:
    said = Said(
        "Outbox",
        "Events that the last sweep found waiting, by collection. Good: 0, or gone at the next sweep. More means that the "
        "broker takes nothing; nothing is lost.",
        COUNT,
        Limits(yellow=100, red=1000),
        runbook="valet-outbox-stuck.md",
        width=6,
    )
    return graph(said, by(same, "valet_outbox_left_events", "collection", service=service))


def _outbox_age(service: str) -> Panel:
    said = Said("Oldest in the outbox", "By collection. Good: below 10 s.", SECONDS, Limits(yellow=10, red=60), width=6)
    return graph(said, by(same, "valet_outbox_oldest_seconds", "collection", service=service))


def _confirmed(service: str) -> Panel:
    said = Said(
        "Time until messages are confirmed, p99",
        "Of a flight of messages to the broker. Good: below 0.1 s. Slow means the broker's disks, or one of its alarms.",
        SECONDS,
        Limits(yellow=0.5, red=5),
        runbook="valet-broker-alarm.md",
        width=6,
    )
    return graph(said, {"p99": quantile(0.99, "valet_publish_seconds", service=service)})


def _store(service: str) -> Panel:
    said = Said(
        "Time of a command to the store, p99",
        "By command. Good: below 0.05 s.",
        SECONDS,
        Limits(yellow=0.25, red=5),
        runbook="valet-store-slow.md",
        width=6,
    )
    return graph(said, by(p99, "valet_store_seconds", "command", service=service))

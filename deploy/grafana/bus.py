"""Rows about the bus as Valet uses it: its queues, and what is published."""

from deploy.grafana.board import Row
from deploy.grafana.panels import Limits, Said, graph
from deploy.grafana.queries import by, p99, per_second, picked, same
from deploy.grafana.units import COUNT, PER_SECOND, SECONDS

CHOSEN = "~$service"
WORK = "~($service)[.].+"  # queues of events, each named after its service
QUESTIONS = "~rpc[.]($service)[.].+"
LETTERS = "~(dead-letters|given-up)[.]($service)"
WAITING = "~wait[.].+"
READY, UNACKED = "rabbitmq_detailed_queue_messages_ready", "rabbitmq_detailed_queue_messages_unacked"


def _queues(metric: str, pattern: str) -> str:
    """By queue; the node that has the queue's leader reports it, and for a moment the one before too."""
    return f"max by (queue) ({picked(metric, vhost='valet', queue=pattern)})"


QUEUES = Row(
    "Queues",
    [
        graph(
            Said(
                "Events that wait",
                "Ready, by queue. Good: near 0, and back there after a burst. Growing: the service is too slow, or gone.",
                COUNT,
                Limits(yellow=200, red=400_000),
                "valet-queue-backlog.md",
            ),
            {"{{queue}}": _queues(READY, WORK)},
        ),
        graph(
            Said(
                "Events in hand",
                "Given to a replica and not acknowledged yet, by queue. Good: follows the load. High and flat: handlers hang.",
                COUNT,
                runbook="valet-queue-stuck.md",
            ),
            {"{{queue}}": _queues(UNACKED, WORK)},
        ),
        graph(
            Said(
                "Put off",
                "Messages in the delays, by delay. Good: few. They come back by themselves.",
                COUNT,
                Limits(yellow=1000),
            ),
            {"{{queue}}": _queues(READY, WAITING)},
            stacked=True,
        ),
        graph(
            Said(
                "Dead letters",
                "Given up, by queue; each waits for a person. Good: 0.",
                COUNT,
                Limits(yellow=1, red=100),
                "valet-dead-letters.md",
            ),
            {"{{queue}}": _queues(READY, LETTERS)},
            stacked=True,
        ),
        graph(
            Said(
                "Questions that wait",
                "By question. Good: 0; a question is worth nothing after 5 s.",
                COUNT,
                Limits(yellow=10, red=100),
            ),
            {"{{queue}}": _queues(READY, QUESTIONS)},
        ),
        graph(
            Said(
                "Consumers",
                "By queue of events. Good: one per replica of its service. 0: nobody reads it. (`letters-in-hand` has one only "
                "while somebody looks through dead letters.)",
                COUNT,
                runbook="valet-consumer-down.md",
            ),
            {"{{queue}}": _queues("rabbitmq_detailed_queue_consumers", WORK)},
        ),
    ],
)

PUBLISHING = Row(
    "Publishing",
    [
        graph(
            Said(
                "Time until messages are confirmed, p99",
                "By service. Good: below 0.1 s.",
                SECONDS,
                Limits(yellow=0.5, red=5),
                width=6,
            ),
            by(p99, "valet_publish_seconds", "service", service=CHOSEN),
        ),
        graph(
            Said(
                "Flights not confirmed",
                "Per second, by service. Good: 0. The events stay in the outbox, and are sent again.",
                PER_SECOND,
                Limits(yellow=0.01, red=1),
                "valet-outbox-stuck.md",
                width=6,
            ),
            by(per_second, "valet_publish_failures_total", "service", service=CHOSEN),
        ),
        graph(
            Said(
                "Outbox",
                "Events waiting, by service and collection. Good: 0.",
                COUNT,
                Limits(yellow=100, red=1000),
                width=6,
            ),
            by(same, "valet_outbox_left_events", "service", "collection", service=CHOSEN),
        ),
        graph(
            Said(
                "Oldest in the outbox",
                "By service and collection. Good: below 10 s.",
                SECONDS,
                Limits(yellow=10, red=60),
                "valet-outbox-stuck.md",
                width=6,
            ),
            by(same, "valet_outbox_oldest_seconds", "service", "collection", service=CHOSEN),
        ),
    ],
)

"""The dashboard of the broker and the database, as they say themselves and as the services meet them."""

from deploy.grafana.board import Board, Row, choice
from deploy.grafana.bus import CHOSEN, PUBLISHING, QUEUES
from deploy.grafana.panels import Limits, Said, graph, number
from deploy.grafana.queries import STEP, by, or_zero, p99, per_second
from deploy.grafana.units import BYTES, COUNT, PER_SECOND, SECONDS, SHARE

BROKER = Row(
    "RabbitMQ",
    [
        number(
            Said(
                "Nodes up",
                "In production three. With two quorum queues go on, with one they stop.",
                COUNT,
                Limits(yellow=3, red=1, low=True),
                "valet-broker-node-down.md",
                width=4,
            ),
            or_zero('sum(up{job="rabbitmq"})'),
        ),
        number(
            Said(
                "Alarms",
                "For memory or disk. Good: 0. With one, whoever publishes is made to wait.",
                COUNT,
                Limits(red=1),
                "valet-broker-alarm.md",
                width=4,
            ),
            "sum(rabbitmq_alarms_memory_used_watermark) + sum(rabbitmq_alarms_free_disk_space_watermark)",
        ),
        number(
            Said(
                "Connections", "Of all nodes. Each replica has a few; a number that climbs is a leak.", COUNT, width=4
            ),
            "sum(rabbitmq_connections)",
        ),
        number(
            Said("Queues", "As many as the services declare; more are those of listeners.", COUNT, width=4),
            "sum(rabbitmq_queues)",
        ),
        number(
            Said(
                "Open files, at most",
                "Of those that a node may open. Good: far below 100 %.",
                SHARE,
                Limits(yellow=0.5, red=0.8),
                width=4,
            ),
            "max(rabbitmq_process_open_fds / rabbitmq_process_max_fds)",
        ),
        number(
            Said(
                "Logins refused",
                "In the time shown. Good: 0. Somebody has a wrong password, or tries some.",
                COUNT,
                Limits(yellow=1, red=100),
                width=4,
            ),
            "sum(increase(rabbitmq_auth_attempts_failed_total[$__range]))",
            graphed=False,
        ),
        graph(
            Said(
                "Messages",
                "Per second: received from publishers, confirmed to them, delivered to consumers, acknowledged by them. Good: the "
                "four go together.",
                PER_SECOND,
            ),
            {
                name: f"sum(rate(rabbitmq_global_messages_{metric}_total[{STEP}]))"
                for name, metric in (
                    ("received", "received"),
                    ("confirmed", "confirmed"),
                    ("delivered", "delivered"),
                    ("acknowledged", "acknowledged"),
                )
            },
        ),
        graph(
            Said(
                "Memory, of what is allowed",
                "By node. Good: below 80 %. At 100 % publishers are made to wait.",
                SHARE,
                Limits(yellow=0.8, red=1),
                "valet-broker-near-alarm.md",
            ),
            {
                "{{instance}}": "max by (instance) (rabbitmq_process_resident_memory_bytes / rabbitmq_resident_memory_limit_bytes)"
            },
        ),
        graph(
            Said(
                "Disk",
                "Free, by node, and what must be free. Good: three times that. Below it publishers are made to wait.",
                BYTES,
                runbook="valet-broker-near-alarm.md",
            ),
            {
                "{{instance}} free": "max by (instance) (rabbitmq_disk_space_available_bytes)",
                "{{instance}} must be free": "max by (instance) (rabbitmq_disk_space_available_limit_bytes)",
            },
        ),
    ],
)

STORE = Row(
    "MongoDB, as the services meet it",
    [
        graph(
            Said("Commands", "Per second, by command and outcome.", PER_SECOND),
            by(per_second, "valet_store_seconds_count", "command", "outcome", service=CHOSEN),
            stacked=True,
        ),
        graph(
            Said(
                "Time of a command, p99",
                "By command. Good: below 0.05 s.",
                SECONDS,
                Limits(yellow=0.25, red=1),
                "valet-store-slow.md",
            ),
            by(p99, "valet_store_seconds", "command", service=CHOSEN),
        ),
        graph(
            Said(
                "Commands that failed",
                "Per second, by service. Good: 0.",
                PER_SECOND,
                Limits(yellow=0.01, red=1),
                "valet-store-failing.md",
            ),
            by(per_second, "valet_store_seconds_count", "service", service=CHOSEN, outcome="failed"),
        ),
    ],
)

BOARD = Board(
    "bus-and-store",
    "Valet: bus and store",
    "RabbitMQ and MongoDB: what waits where, how fast they answer, how much room they have.",
    [QUEUES, PUBLISHING, BROKER, STORE],
    [choice("service", "Service", ["auth", "availability", "booking", "calendar-writer"])],
)

"""The dashboard of the service availability."""

from deploy.grafana import standing, work
from deploy.grafana.board import Board, Row
from deploy.grafana.panels import Limits, Said, graph
from deploy.grafana.queries import by, own, per_second, quantile
from deploy.grafana.units import BYTES, PER_SECOND, SECONDS

SERVICE = "availability"

CALENDARS = Row(
    "Busy times and slots",
    [
        graph(
            Said(
                "Questions about slots",
                "Per second, by answer: `offered`, `none`, or the reason why it is not known.",
                PER_SECOND,
                width=6,
            ),
            by(per_second, "valet_slot_questions_total", "question", "outcome", service=SERVICE),
            stacked=True,
        ),
        graph(
            Said(
                "Age of busy times behind an answer",
                "Slots are answered from memory for `VALET_SNAPSHOT_SECONDS` (60 s). Good: below that. A booking is always "
                "checked live.",
                SECONDS,
                Limits(yellow=60, red=120),
                width=6,
            ),
            {
                "p50": quantile(0.5, "valet_busy_times_age_seconds", service=SERVICE),
                "p99": quantile(0.99, "valet_busy_times_age_seconds", service=SERVICE),
            },
        ),
        graph(
            Said(
                "Calendars that could not be read",
                "Per second, by provider and why. Good: 0. Unknown is never free: holds wait, and are refused in the end.",
                PER_SECOND,
                Limits(yellow=0.1),
                "valet-provider-down.md",
                width=6,
            ),
            by(per_second, "valet_calendars_unreadable_total", "provider", "why", service=SERVICE),
            stacked=True,
        ),
        graph(
            Said("Memory for busy times", "Of all replicas; each keeps to 64 MiB.", BYTES, width=6),
            {"kept": own("valet_busy_times_kept_bytes", service=SERVICE)},
        ),
    ],
)

BOARD = Board(
    SERVICE,
    "Valet: availability",
    "Reads busy times, checks holds against them, and offers slots.",
    [
        CALENDARS,
        standing.standing(SERVICE),
        work.events(SERVICE),
        work.questions(SERVICE),
        work.workers(SERVICE),
        work.effects(SERVICE),
    ],
)

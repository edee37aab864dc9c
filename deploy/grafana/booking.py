"""The dashboard of the service booking."""

from deploy.grafana import standing, work
from deploy.grafana.board import Board, Row
from deploy.grafana.panels import Limits, Said, graph
from deploy.grafana.queries import by, p99, per_second, quantile, same
from deploy.grafana.units import COUNT, PER_SECOND, SECONDS

SERVICE = "booking"

DECISIONS = Row(
    "Decisions",
    [
        graph(
            Said("Decided, by outcome", "Bookings and moves per second.", PER_SECOND),
            by(per_second, "valet_decision_seconds_count", "outcome", service=SERVICE),
            stacked=True,
        ),
        graph(
            Said(
                "From requested to decided, p99",
                "By outcome. Good: below 5 s; only `expired` takes as long as `VALET_HOLD_SECONDS` (120 s).",
                SECONDS,
                Limits(yellow=2.5, red=5),
                "valet-decisions-slow.md",
            ),
            by(p99, "valet_decision_seconds", "outcome", service=SERVICE),
        ),
        graph(
            Said(
                "Holds",
                "Not decided yet, and the age of the oldest in seconds. Good: few, and young. Growing: availability does not "
                "answer, or calendars cannot be read.",
                COUNT,
                Limits(yellow=100, red=300),
                "valet-holds-stuck.md",
            ),
            {
                "open": same("valet_holds_open", service=SERVICE),
                "oldest, seconds": same("valet_hold_oldest_seconds", service=SERVICE),
            },
        ),
        graph(
            Said(
                "Rejected, by reason",
                "Per second. `host-busy` and `time-taken` are life. `calendar-unreadable` and `hold-expired` are trouble with a "
                "provider; `malformed-request` and its like are an emitter's mistake.",
                PER_SECOND,
            ),
            by(per_second, "valet_bookings_rejected_total", "reason", service=SERVICE),
            stacked=True,
        ),
        graph(
            Said("Changes, by outcome", "Cancellations and moves per second: `done`, or why not.", PER_SECOND),
            by(per_second, "valet_booking_changes_total", "type", "outcome", service=SERVICE),
            stacked=True,
        ),
        graph(
            Said(
                "From confirmed to written, p99",
                "By provider; excused is what provider or host kept us from. Good: below 60 s where it is not.",
                SECONDS,
                Limits(yellow=30, red=60),
                "valet-calendar-writes-slow.md",
            ),
            {
                "{{provider}}, excused: {{excused}}": quantile(
                    0.99, "valet_calendar_write_seconds", "provider", "excused"
                )
            },
        ),
    ],
)

FORGETTING = Row(
    "Erasing and forgetting",
    [
        graph(
            Said(
                "Erasures open",
                "And the age of the oldest in minutes. Good: 0, or gone within seconds; an hour is promised.",
                COUNT,
                Limits(yellow=15, red=45),
                "valet-erasure-overdue.md",
                width=6,
            ),
            {
                "open": same("valet_erasures_open", service=SERVICE),
                "oldest, minutes": f"({same('valet_erasure_oldest_seconds', service=SERVICE)}) / 60",
            },
        ),
        graph(
            Said("Erasures finished", "Per second. Good: as many as are asked for.", PER_SECOND, width=6),
            {"finished": per_second("valet_erasures_finished_total", service=SERVICE)},
        ),
        graph(
            Said(
                "From asked for to erased",
                "Good: p99 below an hour; mostly it takes seconds.",
                SECONDS,
                Limits(yellow=900, red=3600),
                "valet-erasures-slow.md",
                width=6,
            ),
            {
                "p50": quantile(0.5, "valet_erasure_seconds", service=SERVICE),
                "p99": quantile(0.99, "valet_erasure_seconds", service=SERVICE),
            },
        ),
        graph(
            Said(
                "Retention overdue",
                "Documents kept for longer than `VALET_RETENTION_DAYS`, and for how many hours the oldest. Good: 0.",
                COUNT,
                Limits(yellow=1, red=6),
                "valet-retention-overdue.md",
                width=6,
            ),
            {
                "documents": same("valet_retention_overdue_bookings", service=SERVICE),
                "oldest, hours": f"({same('valet_retention_overdue_seconds', service=SERVICE)}) / 3600",
            },
        ),
    ],
)

BOARD = Board(
    SERVICE,
    "Valet: booking",
    "Decides about requests, keeps bookings sealed, and forgets people.",
    [
        DECISIONS,
        FORGETTING,
        standing.standing(SERVICE),
        work.events(SERVICE),
        work.questions(SERVICE),
        work.workers(SERVICE),
        work.effects(SERVICE),
        standing.keys(SERVICE),
    ],
)

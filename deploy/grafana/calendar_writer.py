"""The dashboard of the service calendar-writer."""

from deploy.grafana import standing, work
from deploy.grafana.board import Board, Row
from deploy.grafana.panels import Limits, Said, graph, number
from deploy.grafana.queries import by, in_time_shown, per_second, quantile, same
from deploy.grafana.units import COUNT, PER_SECOND, SECONDS

SERVICE = "calendar-writer"

ENTRIES = Row(
    "Entries",
    [
        graph(
            Said(
                "Entries not as they should be",
                "`intended` wait to be written or removed, `parked` for their host or provider, `failed` were given up. Good: few "
                "that wait, none failed.",
                COUNT,
                Limits(yellow=10, red=100),
                "valet-calendar-writes-stuck.md",
            ),
            by(same, "valet_calendar_effects", "standing", service=SERVICE),
        ),
        graph(
            Said(
                "Age of the oldest",
                "Good: below a minute for those to be written now. Those that wait for their host may take days.",
                SECONDS,
                Limits(yellow=60, red=900),
                "valet-calendar-write-old.md",
            ),
            {
                "to be written or removed": same("valet_calendar_effect_oldest_seconds", service=SERVICE),
                "waits for its host": same("valet_calendar_parked_oldest_seconds", service=SERVICE),
            },
        ),
        graph(
            Said(
                "From confirmed to written",
                "Where provider and host let us. Good: p99 below 60 s.",
                SECONDS,
                Limits(yellow=30, red=60),
                "valet-calendar-writes-slow.md",
            ),
            {
                "p50": quantile(0.5, "valet_calendar_write_seconds", excused="no"),
                "p99": quantile(0.99, "valet_calendar_write_seconds", excused="no"),
            },
        ),
        graph(
            Said(
                "Compared with calendars",
                "Entries per second that the reconciler looked at, by what it found. `duplicates` should never be.",
                PER_SECOND,
                runbook="valet-duplicate-entries.md",
            ),
            by(per_second, "valet_calendar_reconciled_total", "finding", service=SERVICE),
            stacked=True,
        ),
        number(
            Said(
                "Left beyond reach",
                "Entries that stay in an account which is no longer connected, in the time shown. Good: 0.",
                COUNT,
                Limits(red=1),
                "valet-entries-beyond-reach.md",
                height=8,
            ),
            in_time_shown("valet_calendar_effects_beyond_reach_total", "provider", service=SERVICE),
            "{{provider}}",
            graphed=False,
        ),
        graph(
            Said("Requests to providers", "Per second, by outcome. Good: nearly all `2xx`.", PER_SECOND),
            by(per_second, "valet_provider_requests_total", "provider", "operation", "outcome", service=SERVICE),
            stacked=True,
        ),
    ],
)

BOARD = Board(
    SERVICE,
    "Valet: calendar-writer",
    "Makes calendars as bookings say: one entry for each, once.",
    [
        ENTRIES,
        standing.standing(SERVICE),
        work.events(SERVICE),
        work.questions(SERVICE),
        work.workers(SERVICE),
        work.effects(SERVICE),
        standing.keys(SERVICE),
    ],
)

"""The dashboard to begin with: are the promises kept, what is going on, and does anything need a person."""

from deploy.grafana.board import Board, Row
from deploy.grafana.panels import Limits, Said, graph, number, rows
from deploy.grafana.queries import by, or_zero, per_second, quantile, same
from deploy.grafana.units import COUNT, PER_SECOND, SECONDS, SHARE

ALERT = {
    "severity": "Severity",
    "alertname": "Alert",
    "service": "Service",
    "queue": "Queue",
    "provider": "Provider",
    "sloth_slo": "Objective",
}
"""What an alert is about: label to heading."""

OBJECTIVES = Row(
    "Objectives",
    [
        number(
            Said(
                "Error budget left",
                "Of the last 30 days, by objective. Good: above 25 %. Below 0 the promise of 99.9 % is broken: mend before you "
                "build. No figure: nothing was asked for yet.",
                SHARE,
                Limits(yellow=0.25, red=0, low=True),
                "README.md",
                width=12,
            ),
            "slo:period_error_budget_remaining:ratio",
            "{{sloth_slo}}",
        ),
        number(
            Said(
                "Burn rate",
                "How fast the budget is being used up; at 1 it lasts exactly 30 days. Somebody is called at 14.4 (an hour) "
                "and 6 (six hours). No figure: nothing was asked for in the last minutes.",
                COUNT,
                Limits(yellow=1, red=6),
                "README.md",
                width=12,
            ),
            "slo:current_burn_rate:ratio",
            "{{sloth_slo}}",
        ),
        graph(
            Said(
                "Kept in the last hour",
                "Share of bookings decided within 5 s, of entries written within 60 s while provider and host let us, of erasures "
                "finished within an hour; and of the time in which every grant had been proved within 15 minutes. Good: 99.9 %.",
                SHARE,
                Limits(yellow=0.999, red=0.99, low=True),
                width=12,
            ),
            {"{{sloth_slo}}": "1 - slo:sli_error:ratio_rate1h"},
            share=True,
            close=True,
        ),
        graph(
            Said(
                "Burn rate by window",
                "The highest of all objectives, over 5 minutes, an hour, six hours and three days. Short and high: something just "
                "broke. Long and low: something is a little wrong.",
                COUNT,
                Limits(yellow=1, red=6),
                width=12,
            ),
            {
                window: f"max(slo:sli_error:ratio_rate{window} / on (sloth_slo) group_left slo:error_budget:ratio)"
                for window in ("5m", "1h", "6h", "3d")
            },
        ),
    ],
)

BOOKINGS = Row(
    "Bookings",
    [
        graph(
            Said("Decided, by outcome", "Bookings and moves per second.", PER_SECOND, runbook="valet-holds-stuck.md"),
            by(per_second, "valet_decision_seconds_count", "outcome"),
            stacked=True,
        ),
        graph(
            Said(
                "From requested to decided",
                "Good: p99 below 5 s. Longer means that calendars cannot be read, or that events wait.",
                SECONDS,
                Limits(yellow=2.5, red=5),
                "valet-decisions-slow.md",
            ),
            {"p50": quantile(0.5, "valet_decision_seconds"), "p99": quantile(0.99, "valet_decision_seconds")},
        ),
        graph(
            Said(
                "From confirmed to written",
                "Until the entry stands in the calendar, where provider and host let us. Good: p99 below 60 s.",
                SECONDS,
                Limits(yellow=30, red=60),
                "valet-calendar-writes-slow.md",
            ),
            {
                "p50": quantile(0.5, "valet_calendar_write_seconds", excused="no"),
                "p99": quantile(0.99, "valet_calendar_write_seconds", excused="no"),
            },
        ),
    ],
)

PEOPLE = Row(
    "What needs a person",
    [
        rows(
            Said(
                "Alerts",
                "What fires now; each has a runbook under its name. Good: one line, `none`.",
                COUNT,
                runbook="README.md",
                width=24,
                height=6,
            ),
            or_zero(f'sum by ({", ".join(ALERT)}) (ALERTS{{alertstate="firing", alertname=~"Valet.*"}})', "alertname"),
            ALERT,
        ),
        number(
            Said(
                "Dead letters",
                "Messages that could not be handled. Good: 0. Look with `valet dead`.",
                COUNT,
                Limits(yellow=1, red=100),
                "valet-dead-letters.md",
                width=6,
            ),
            'sum(max by (queue) (rabbitmq_detailed_queue_messages_ready{vhost="valet", queue=~"dead-letters[.].+"}))',
        ),
        number(
            Said(
                "Hosts to connect again",
                "Connections whose grant died. A few are normal; many at once are not.",
                COUNT,
                Limits(yellow=10, red=50),
                "valet-mass-reconnect.md",
                width=6,
            ),
            'sum(max by (provider) (valet_reconnect_needed_connections{service="auth"}))',
        ),
        number(
            Said(
                "Entries not as they should be",
                "Waiting for their calendar, for their host, or failed. Good: a few that wait, none that failed.",
                COUNT,
                Limits(yellow=10, red=100),
                "valet-calendar-writes-stuck.md",
                width=6,
            ),
            same("valet_calendar_effects", "standing", service="calendar-writer"),
            "{{standing}}",
        ),
        number(
            Said(
                "Holds open",
                "Bookings and moves not decided yet. Good: few.",
                COUNT,
                Limits(yellow=100),
                "valet-holds-stuck.md",
                width=6,
            ),
            same("valet_holds_open", service="booking"),
        ),
        number(
            Said(
                "Oldest hold", "Good: below 5 s.", SECONDS, Limits(yellow=5, red=300), "valet-holds-stuck.md", width=6
            ),
            same("valet_hold_oldest_seconds", service="booking"),
        ),
        number(
            Said(
                "Erasures open",
                "Good: 0, or gone within seconds.",
                COUNT,
                Limits(yellow=10),
                "valet-erasure-overdue.md",
                width=6,
            ),
            same("valet_erasures_open", service="booking"),
        ),
        number(
            Said(
                "Oldest erasure",
                "An hour is promised.",
                SECONDS,
                Limits(yellow=900, red=2700),
                "valet-erasure-overdue.md",
                width=6,
            ),
            same("valet_erasure_oldest_seconds", service="booking"),
        ),
        number(
            Said(
                "Providers switched off",
                "By an operator: `valet provider status`. Good: 0.",
                COUNT,
                Limits(yellow=1),
                "valet-provider-switched-off.md",
                width=6,
            ),
            "sum(max by (provider) (valet_provider_switched_off))",
        ),
    ],
)

RUNNING = Row(
    "What runs",
    [
        number(
            Said(
                "Replicas up",
                "By service, as Prometheus reaches them. In production each has two or more.",
                COUNT,
                Limits(yellow=2, red=1, low=True),
                "valet-service-down.md",
                width=12,
            ),
            'sum by (service) (up{job="valet"})',
            "{{service}}",
        ),
        rows(
            Said(
                "Versions",
                "Good: one version per service, but for the minutes of a roll-out.",
                COUNT,
                width=12,
                height=8,
            ),
            "count by (service, version, revision) (valet_build_info)",
            {"service": "Service", "version": "Version", "revision": "Revision", "Value": "Replicas"},
        ),
    ],
)

BOARD = Board(
    "overview",
    "Valet: overview",
    "Are the promises kept, what is going on, and does anything need a person?",
    [OBJECTIVES, BOOKINGS, PEOPLE, RUNNING],
)

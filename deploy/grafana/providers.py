"""The dashboard of the calendar providers, as all services meet them."""

from deploy.grafana.board import Board, Row, choice
from deploy.grafana.panels import Limits, Said, graph, number
from deploy.grafana.queries import STEP, by, in_time_shown, p99, per_second, picked, quantile, same
from deploy.grafana.units import COUNT, PER_SECOND, SECONDS, SHARE

CHOSEN = "~$provider"


def _failed() -> str:
    asked = picked("valet_provider_requests_total", provider=CHOSEN)
    answered = picked("valet_provider_requests_total", provider=CHOSEN, outcome="~[234]xx")
    rates = [f"sum by (provider) (rate({counter}[{STEP}]))" for counter in (answered, asked)]
    return f"1 - {' / '.join(rates)}"


STANDING = Row(
    "Standing",
    [
        number(
            Said(
                "Down, as our processes see it",
                "Share of our processes that count the provider as down and ask it nothing but a probe. Good: 0.",
                SHARE,
                Limits(yellow=0.01, red=0.5),
                "valet-provider-down.md",
                width=6,
            ),
            f"avg by (provider) ({picked('valet_provider_circuit_open', provider=CHOSEN)})",
            "{{provider}}",
        ),
        number(
            Said(
                "Switched off by an operator",
                "1 while it is: `valet provider status`. Good: 0.",
                COUNT,
                Limits(yellow=1),
                "valet-provider-switched-off.md",
                width=6,
            ),
            same("valet_provider_switched_off", "provider", provider=CHOSEN),
            "{{provider}}",
        ),
        number(
            Said(
                "Hosts to connect again",
                "Connections whose grant died.",
                COUNT,
                Limits(yellow=10, red=50),
                "valet-mass-reconnect.md",
                width=6,
            ),
            same("valet_reconnect_needed_connections", "provider", provider=CHOSEN),
            "{{provider}}",
        ),
        number(
            Said(
                "Refused on the way out",
                "Requests that are not on our allow-list, in the time shown. Good: 0. Otherwise our code tried what it must not.",
                COUNT,
                Limits(red=1),
                "valet-egress-refused.md",
                width=6,
            ),
            in_time_shown("valet_egress_refused_total", "provider", provider=CHOSEN),
            "{{provider}}",
            graphed=False,
        ),
    ],
)

REQUESTS = Row(
    "Requests",
    [
        graph(
            Said(
                "Requests, by outcome",
                "Per second, from all services. Good: nearly all `2xx`. `4xx` also counts what is asked too often or is gone; "
                "`5xx`, and outcomes without a number, are the provider's trouble.",
                PER_SECOND,
                runbook="valet-provider-down.md",
            ),
            by(per_second, "valet_provider_requests_total", "provider", "outcome", provider=CHOSEN),
            stacked=True,
        ),
        graph(
            Said("Requests, by operation", "Per second, from all services: who uses up the quota.", PER_SECOND),
            by(per_second, "valet_provider_requests_total", "provider", "operation", provider=CHOSEN),
            stacked=True,
        ),
        graph(
            Said(
                "Share that failed",
                "Without an answer, or with `5xx`. Good: below 1 %.",
                SHARE,
                Limits(yellow=0.01, red=0.5),
                "valet-provider-down.md",
            ),
            {
                "{{provider}}": _failed(),
            },
            share=True,
        ),
        graph(
            Said("Time of a request, p50", "By operation: what is usual.", SECONDS, width=12),
            {
                "{{provider}} {{operation}}": quantile(
                    0.5, "valet_provider_request_seconds", "provider", "operation", provider=CHOSEN
                )
            },
        ),
        graph(
            Said(
                "Time of a request, p99",
                "By operation. Good: below 2 s. We give up after `VALET_PROVIDER_TIMEOUT` (10 s).",
                SECONDS,
                Limits(yellow=2, red=10),
                width=12,
            ),
            by(p99, "valet_provider_request_seconds", "provider", "operation", provider=CHOSEN),
        ),
    ],
)

LIMITS = Row(
    "Limits and outages",
    [
        graph(
            Said(
                "Asked too often",
                "Answers 429, or 403 with such a reason, per second. Good: few. They are waited out, as long as the provider says.",
                PER_SECOND,
                Limits(yellow=0.1, red=1),
                "valet-provider-limits.md",
            ),
            by(per_second, "valet_provider_limited_total", "provider", "operation", provider=CHOSEN),
        ),
        number(
            Said(
                "Pauses because the quota is used up",
                "In the time shown. Good: 0. Otherwise ask the provider for more.",
                COUNT,
                Limits(red=1),
                "valet-provider-quota-used-up.md",
                height=8,
            ),
            in_time_shown("valet_provider_quota_pauses_total", "provider", provider=CHOSEN),
            "{{provider}}",
            graphed=False,
        ),
        graph(
            Said(
                "Calls not made",
                "Per second, because the provider counts as down. They wait, and are made when it is back.",
                PER_SECOND,
                runbook="valet-provider-down.md",
            ),
            by(per_second, "valet_provider_circuit_refused_total", "provider", provider=CHOSEN),
        ),
    ],
)

GRANTS = Row(
    "Grants and effects",
    [
        graph(
            Said(
                "Oldest proof of a grant",
                "Time since the provider last honoured the grant asked about longest ago. Good: below 15 minutes.",
                SECONDS,
                Limits(yellow=600, red=900),
                "valet-dead-grants-found-late.md",
                width=6,
            ),
            by(same, "valet_grant_oldest_proof_seconds", "provider", provider=CHOSEN),
        ),
        graph(
            Said(
                "Access tokens refreshed",
                "Per second, by outcome. Good: nearly all `refreshed`.",
                PER_SECOND,
                runbook="valet-tokens-not-refreshed.md",
                width=6,
            ),
            by(per_second, "valet_token_refreshes_total", "provider", "outcome", provider=CHOSEN),
            stacked=True,
        ),
        graph(
            Said(
                "Calendars that could not be read",
                "Per second, by why. Good: 0.",
                PER_SECOND,
                Limits(yellow=0.1),
                "valet-provider-down.md",
                width=6,
            ),
            by(per_second, "valet_calendars_unreadable_total", "provider", "why", provider=CHOSEN),
            stacked=True,
        ),
        graph(
            Said(
                "From confirmed to written, p99",
                "Excused is what provider or host kept us from.",
                SECONDS,
                Limits(yellow=30, red=60),
                "valet-calendar-writes-slow.md",
                width=6,
            ),
            {
                "{{provider}}, excused: {{excused}}": quantile(
                    0.99, "valet_calendar_write_seconds", "provider", "excused", provider=CHOSEN
                )
            },
        ),
    ],
)

BOARD = Board(
    "providers",
    "Valet: providers",
    "Google and Microsoft as all services meet them: are they there, how fast, how often they say no.",
    [STANDING, REQUESTS, LIMITS, GRANTS],
    [choice("provider", "Provider", ["google", "microsoft"])],
)

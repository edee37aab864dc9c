"""The dashboard of the service auth."""

from deploy.grafana import standing, work
from deploy.grafana.board import Board, Row
from deploy.grafana.panels import Limits, Said, graph
from deploy.grafana.queries import by, p99, per_second, same
from deploy.grafana.units import COUNT, PER_SECOND, SECONDS

SERVICE = "auth"

CONNECTIONS = Row(
    "Connections and grants",
    [
        graph(
            Said(
                "Hosts to connect again",
                "Connections whose grant died, by provider. A few are normal. Many at once: a client secret was revoked or an "
                "administrator took the consent back.",
                COUNT,
                Limits(yellow=10, red=50),
                "valet-mass-reconnect.md",
                width=6,
            ),
            by(same, "valet_reconnect_needed_connections", "provider", service=SERVICE),
        ),
        graph(
            Said(
                "Oldest proof of a grant",
                "Time since the provider last honoured the grant asked about longest ago. Good: below 15 minutes.",
                SECONDS,
                Limits(yellow=600, red=900),
                "valet-dead-grants-found-late.md",
                width=6,
            ),
            by(same, "valet_grant_oldest_proof_seconds", "provider", service=SERVICE),
        ),
        graph(
            Said(
                "Access tokens refreshed",
                "Per second, by outcome. Good: nearly all `refreshed`. `unavailable` is the provider's trouble; without fresh "
                "tokens nothing works within an hour.",
                PER_SECOND,
                runbook="valet-tokens-not-refreshed.md",
                width=6,
            ),
            by(per_second, "valet_token_refreshes_total", "provider", "outcome", service=SERVICE),
            stacked=True,
        ),
        graph(
            Said(
                "Connecting, by what became of it",
                "Per second: `connected`, `disconnected`, or why it failed. Failures of one kind only point at the registration "
                "with the provider.",
                PER_SECOND,
                width=6,
            ),
            by(per_second, "valet_connections_total", "provider", "outcome", service=SERVICE),
            stacked=True,
        ),
    ],
)

PROVIDERS = Row(
    "Requests to providers",
    [
        graph(
            Said("Requests, by outcome", "Per second. Good: nearly all `2xx`.", PER_SECOND, width=12),
            by(per_second, "valet_provider_requests_total", "provider", "operation", "outcome", service=SERVICE),
            stacked=True,
        ),
        graph(
            Said("Time of a request, p99", "Good: below 2 s.", SECONDS, Limits(yellow=2, red=10), width=12),
            by(p99, "valet_provider_request_seconds", "provider", "operation", service=SERVICE),
        ),
    ],
)

BOARD = Board(
    SERVICE,
    "Valet: auth",
    "Keeps the grants of hosts, connects and disconnects calendars, and gives out access tokens.",
    [
        CONNECTIONS,
        PROVIDERS,
        standing.standing(SERVICE),
        work.answers(SERVICE, 12),
        work.answerers(SERVICE),
        work.effects(SERVICE),
        standing.keys(SERVICE),
    ],
)

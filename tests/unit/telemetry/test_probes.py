"""The probes' pages, asked as WSGI asks them."""

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from libs.telemetry import metrics
from libs.telemetry.probes import Probes


def page(path: str, **checks: Callable[[], bool]) -> tuple[str, dict[str, str], str]:
    answered: list[Any] = []
    body = b"".join(
        Probes(checks)({"PATH_INFO": path}, lambda status, headers: answered.append((status, dict(headers))))
    )
    status, headers = answered[0]
    assert int(headers["Content-Length"]) == len(body)
    return status, headers, body.decode()


def broken() -> bool:
    raise RuntimeError("mongodb://valet:pa55@store.example")


def test_live_never_looks_at_dependencies() -> None:
    assert page("/live", store=broken)[0] == "200 OK"


def test_ready_when_every_check_holds() -> None:
    status, _, body = page("/ready", store=lambda: True, bus=lambda: True)

    assert (status, body) == ("200 OK", "ready\n")


def test_not_ready_names_what_fails_and_no_more() -> None:
    status, _, body = page("/ready", store=broken, bus=lambda: False, other=lambda: True)

    assert status.startswith("503")
    assert body == "not ready: bus\nnot ready: store\n"


def test_checks_that_come_later_count() -> None:
    checks: dict[str, Callable[[], bool]] = {}
    probes = Probes(checks)
    checks["store"] = lambda: False
    answered: list[str] = []
    list(probes({"PATH_INFO": "/ready"}, lambda status, _: answered.append(status)))

    assert answered == ["503 Service Unavailable"]


def test_metrics_are_what_prometheus_reads() -> None:
    metrics.PUBLISH_FAILURES.inc(0)
    status, headers, body = page("/metrics")

    assert status == "200 OK"
    assert headers["Content-Type"].startswith("text/plain")
    assert any(family.name == "valet_publish_failures" for family in text_string_to_metric_families(body))


@pytest.mark.parametrize("path", ["/", "", "/metrics/", "/ready/../live", "//live"])
def test_everything_else_is_not_found(path: str) -> None:
    assert page(path)[0].startswith("404")

"""Each service is killed once in mid-journey; the end is the same as if nothing had happened."""

import time
from datetime import timedelta

import pytest

from deploy.sandbox.accounts import Provider
from tests.e2e.test_journey import assert_no_overlap
from tests.e2e.world import Heard, World, hear, tomorrow

# The event after which the service has work in hand.
MOMENTS = {
    "booking": "booking-held",
    "availability": "booking-held",
    "auth": "booking-held",
    "calendar-writer": "booking-confirmed",
}


@pytest.mark.parametrize("service", list(MOMENTS))
def test_a_service_killed_in_mid_journey_changes_nothing(world: World, names: str, service: str) -> None:
    # given two hosts and requests that fit beside each other, some of them sent twice
    hosts: dict[str, Provider] = {f"kill-g-{names}": "google", f"kill-m-{names}": "microsoft"}
    accounts = {host: world.connect(host, provider) for host, provider in hosts.items()}
    requests = [world.request(host, tomorrow() + timedelta(minutes=30 * n)) for n in range(20) for host in hosts]
    heard = Heard()
    with world.tap() as tap:
        # when the service is killed as soon as its work begins, and started again
        world.emit(requests + requests[:10])
        assert hear(tap, heard, lambda h: h.of(MOMENTS[service]), 20)
        world.stack.kill(service)
        time.sleep(0.3)
        world.stack.start([service])
        decided = hear(tap, heard, lambda h: all(h.outcome(r["id"]) for r in requests), 60)
        confirmed = heard.confirmed(requests)
        wrote = hear(tap, heard, lambda h: h.written() >= set(confirmed), 90)
    # then every request was decided once and confirmed, and every booking stands in the calendar once
    assert decided, heard.outcomes(requests)
    assert wrote
    assert heard.outcomes(requests) == {("booking-confirmed", None): 40}
    assert_no_overlap(list(confirmed.values()))
    for host, account in accounts.items():
        assert len(world.entries(hosts[host], account)) == 20

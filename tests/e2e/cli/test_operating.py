"""The operator's glance, lists and kill switch, as commands against the running stack."""

from datetime import datetime, timedelta

from tests.e2e.cli.conftest import INVITEE, Valet

SERVICES = {"auth", "availability", "booking", "calendar-writer"}


def test_hosts_and_bookings_are_listed(connected: str, start: datetime, valet: Valet) -> None:
    # given a booking of a connected host
    booked = valet("book", connected, start.isoformat(), "--minutes", "15", *INVITEE, "--json").document
    # when its host's bookings of that time are listed
    span = ("--from", start.isoformat(), "--to", (start + timedelta(minutes=15)).isoformat())
    found = valet("bookings", "--host", connected, *span, "--state", "confirmed", "--json")
    # then it is there, with what the calendar says, and nothing personal
    (row,) = (row for row in found.document["bookings"] if row["booking"] == booked["booking"])
    assert (row["host"], row["calendar"]["state"]) == (connected, "written")
    assert "Ada" not in found.out
    assert booked["booking"] in valet("bookings", "--host", connected, *span, settings={"COLUMNS": "70"}).out
    # and the host is found by provider and state, and a page at a time
    (host,) = valet("hosts", connected, "--json").document["connections"]
    names = {row["host"] for row in valet("hosts", "--provider", host["provider"], "--state", "connected",
                                          "--limit", "5000", "--json").document["hosts"]}  # fmt: skip
    assert connected in names
    page = valet("hosts", "--limit", "1", "--json").document
    assert len(page["hosts"]) == 1
    assert page["next"] == (page["hosts"][0]["host"] if page["more"] else None)


def test_the_glance_shows_a_provider_that_is_switched_off(valet: Valet) -> None:
    # given a stack that is up
    before = valet("status", "--patience", "20", "--json")
    assert {one["name"] for one in before.document["services"] if one["ready"] and one["replicas"]} == SERVICES
    assert before.code == (0 if before.document["ok"] else 1)
    assert before.document["not_seen"] == []
    try:
        # when an operator switches a provider off
        off = valet("provider", "off", "microsoft", "--why", "a made-up incident", "--yes", "--json")
        assert (off.code, off.document["on"]) == (0, False)
        # then status says so, and why; nobody is sent there; and it stands among the switches
        status = valet("status", "--patience", "20")
        assert status.code == 1
        assert "microsoft is switched off (a made-up incident)" in status.out
        refused = valet("connect", "dr-nobody-yet", "--provider", "microsoft")
        assert (refused.code, "switched off" in refused.err) == (1, True)
        assert "a made-up incident" in valet("provider").out
    finally:
        on = valet("provider", "on", "microsoft")
    assert on.code == 0
    assert "is switched on" in on.out


def test_the_glance_names_what_is_down_and_shows_the_rest(valet: Valet) -> None:
    probes = "auth=https://localhost:9"
    found = valet(
        "status", "--json", settings={"VALET_PROBES": probes, "VALET_AMQP_URL": "amqps://x:y@localhost:9/valet"}
    )
    assert found.code == 1
    assert [one["up"] for one in found.document["services"]] == [False]
    assert any(text.startswith("not seen: the bus") for text in found.document["problems"])
    assert found.err == ""

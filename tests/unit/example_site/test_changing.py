"""Cancelling and moving: only a form acts, and only with a link of this site."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from example_site.links import Held, Span
from example_site.reasons import words
from tests.unit.example_site.doubles import BOOKING, SOURCE, Site, slots

ID = "f" * 32
SPAN = Span(datetime(2026, 12, 1, 15, tzinfo=UTC), datetime(2026, 12, 1, 16, tzinfo=UTC))
NEW = Span(datetime(2026, 12, 2, 17, tzinfo=UTC), datetime(2026, 12, 2, 18, tzinfo=UTC))
TIMES = {"start": "2026-12-01T15:00:00Z", "end": "2026-12-01T16:00:00Z"}
NEW_TIMES = {"start": "2026-12-02T17:00:00Z", "end": "2026-12-02T18:00:00Z"}


def booked() -> Site:
    """A site where somebody has a booking, and it is known."""
    site = Site()
    site.hear("booking-confirmed", ID, 2, **TIMES)
    return site


def link(site: Site, purpose: str, span: Span = SPAN) -> str:
    return f"/{purpose}/{site.links.sign(purpose, Held(BOOKING, ID, 'dr-example', span))}"


def change(site: Site, path: str, page: str | None = None) -> Any:
    """Open the page and send its form."""
    return site.post(path, {"ticket": site.get(page or path).hidden("ticket")})


def test_opening_a_link_changes_nothing() -> None:
    # given both links, when they are opened, as mail programs do by themselves
    site = booked()
    site.bus.answer = slots(NEW.start, 1, 60)
    for path in (link(site, "cancel"), link(site, "move"), f"{link(site, 'move')}?start=2026-12-02T17:00Z"):
        assert site.get(path).status == 200
    # then nothing was asked for
    assert not site.bus.published


def test_cancelling() -> None:
    # given a booking, when its link is opened and the form sent
    site = booked()
    answer = change(site, link(site, "cancel"))
    # then Valet is asked, and the visitor follows it
    [event] = site.bus.events()
    assert (event["type"], event["source"]) == ("cancellation-requested", SOURCE)
    assert event["data"] == {"booking": BOOKING, "reason": "cancelled-by-invitee"}
    assert "Cancelling" in site.get(answer.goes_to).text
    by = {"change": {"source": SOURCE, "id": event["id"]}, "reason": "cancelled-on-request"}
    site.hear("booking-cancelled", ID, 3, **TIMES, **by)
    assert "Your appointment is cancelled" in site.get(answer.goes_to).text
    # and the links say so from then on, and act no more
    for purpose in ("cancel", "move"):
        assert site.get(link(site, purpose)).status == 410
    assert len(site.bus.published) == 1


def test_moving() -> None:
    # given a booking, and a time that is free
    site = booked()
    site.bus.answer = slots(NEW.start, 1, 60)
    path = link(site, "move")
    # when that time is chosen
    [choice] = [found for found in site.get(path).links(path) if "start=" in found]
    answer = change(site, path, choice)
    # then the booking's own time counted as free, and Valet is asked for the move
    assert site.bus.asked[0][1]["moving"] == BOOKING
    assert site.bus.asked[0][1]["duration_minutes"] == 60
    [event] = site.bus.events()
    assert event["type"] == "reschedule-requested"
    new = {"start": "2026-12-02T17:00:00+00:00", "end": "2026-12-02T18:00:00+00:00"}
    assert event["data"] == {"booking": BOOKING, **new}
    assert "until that is sure" in site.get(answer.goes_to).text
    # and new links come with the new time
    by = {"change": {"source": SOURCE, "id": event["id"]}}
    site.hear("booking-rescheduled", ID, 4, **NEW_TIMES, **by)
    page = site.get(answer.goes_to)
    assert "Moved" in page.text
    token = page.links("/cancel/")[0].removeprefix("/cancel/")
    assert site.links.read("cancel", token, Held).span == NEW


@pytest.mark.parametrize("reason", ["time-taken", "change-pending", "too-many-changes", "booking-over"])
def test_a_refused_move_says_why(reason: str) -> None:
    site = booked()
    path = link(site, "move")
    answer = change(site, path, f"{path}?start=2026-12-02T17:00Z")
    request = {"request": {"source": SOURCE, "id": site.bus.events()[0]["id"]}, "asked": "reschedule", "reason": reason}
    site.memory.hear({"type": "change-refused", "data": request})
    page = site.get(answer.goes_to)
    assert "Not moved" in page.text
    assert words(reason) in page.text
    assert bool(page.links("/cancel/")) is (reason != "booking-over")


def test_a_change_is_asked_for_once_however_often_its_form_is_sent() -> None:
    site = booked()
    path = link(site, "cancel")
    form = {"ticket": site.get(path).hidden("ticket")}
    assert site.post(path, form).goes_to == site.post(path, form).goes_to
    assert len(site.bus.published) == 1


def test_after_a_restart_the_same_change_is_asked_for_again() -> None:
    before = booked()
    found = change(before, link(before, "cancel")).goes_to
    after = Site()
    assert "Ask again" in after.get(found).text
    after.post(found)
    assert after.bus.published == before.bus.published


def test_links_end_with_the_appointment() -> None:
    site = booked()
    site.now = SPAN.end - timedelta(seconds=1)
    assert site.get(link(site, "cancel")).status == 200
    form = {"ticket": site.get(link(site, "cancel")).hidden("ticket")}
    site.now = SPAN.end
    assert site.get(link(site, "cancel")).status == 410
    assert site.post(link(site, "cancel"), form).status == 410
    assert site.post(link(site, "move"), form).status == 410
    assert not site.bus.published


def test_a_link_from_before_a_move_is_good_until_the_new_time() -> None:
    site = booked()
    site.hear("booking-rescheduled", ID, 4, **NEW_TIMES)
    site.now = SPAN.end + timedelta(hours=1)
    assert "2 December" in site.get(link(site, "cancel")).text


def test_an_altered_link_is_refused() -> None:
    site = booked()
    for purpose in ("cancel", "move"):
        path = link(site, purpose)
        assert site.get(f"{path[:-3]}AAA").status == 404
        assert site.post(f"{path[:-3]}AAA", {"ticket": site.get(link(site, "cancel")).hidden("ticket")}).status == 404
    # a link to move does not cancel
    assert site.get(link(site, "move").replace("/move/", "/cancel/")).status == 404
    assert not site.bus.published


def test_a_form_is_good_for_its_own_booking_only() -> None:
    site = booked()
    other = f"/cancel/{site.links.sign('cancel', Held('bk_' + 'z' * 26, ID, 'dr-example', SPAN))}"
    assert site.post(link(site, "cancel"), {"ticket": site.get(other).hidden("ticket")}).status == 404
    assert site.post(link(site, "cancel")).status == 404
    assert site.post(link(site, "move"), {"ticket": site.get(link(site, "cancel")).hidden("ticket")}).status == 404
    assert not site.bus.published


def test_another_sites_form_cannot_cancel() -> None:
    site = booked()
    form = {"ticket": site.get(link(site, "cancel")).hidden("ticket")}
    assert site.post(link(site, "cancel"), form, sec_fetch_site="cross-site").status == 403
    assert not site.bus.published

"""Booking: one form, one request, nothing personal in the open."""

import logging
import uuid
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import pytest

from example_site.links import Asked
from example_site.reasons import words
from tests.unit.example_site.doubles import NOW, SECRET, SOURCE, Site, slots

FORM = "/dr-example/book?minutes=60&start=2026-12-01T15:00Z"
GOOD = {"name": " Ada   Example ", "email": "ada@example.com", "q0": "A first\r\nvisit\x07"}
TIMES = {"start": "2026-12-01T15:00:00Z", "end": "2026-12-01T16:00:00Z"}


def send(site: Site, **changes: str) -> Any:
    """Fill in a form and send it."""
    ticket = site.get(FORM).hidden("ticket")
    return site.post("/dr-example/book", {"ticket": ticket, **GOOD, **changes})


def test_a_request_is_published_sealed_and_followed() -> None:
    # given a form that was filled in, when it is sent
    site = Site()
    answer = send(site)
    # then one request is on the bus, and what is personal is in the seal alone
    [event] = site.bus.events()
    assert (event["type"], event["source"]) == ("booking-requested", SOURCE)
    wanted = {"host": "dr-example", "start": "2026-12-01T15:00:00+00:00", "end": "2026-12-01T16:00:00+00:00"}
    assert event["data"] == wanted | {"sealed": "sealed-1"}
    assert b"Ada" not in site.bus.published[0][1]
    invitee = {"name": "Ada Example", "email": "ada@example.com", "time_zone": "America/New_York"}
    fields = {"What is it about?": "A first\nvisit"}
    assert site.sealed == [{"invitee": invitee | {"fields": fields}, "title": "Appointment with Dr. Example"}]
    # and the visitor sees what becomes of it
    assert answer.status == 303
    assert "Asking for your time" in site.get(answer.goes_to).text
    site.hear("booking-confirmed", event["id"], 2, **TIMES)
    assert "You are booked" in site.get(answer.goes_to).text


def test_a_double_click_or_a_reload_books_once() -> None:
    # given one form
    site = Site()
    ticket = site.get(FORM).hidden("ticket")
    # when it is sent twice, the second time with something else in it
    one = site.post("/dr-example/book", {"ticket": ticket, **GOOD})
    two = site.post("/dr-example/book", {"ticket": ticket, **GOOD, "name": "Ben Sample"})
    # then there is one request, and both see the same; also if what came second would have been wrong
    assert len(site.bus.published) == 1
    assert one.goes_to == two.goes_to
    assert site.post("/dr-example/book", {"ticket": ticket, "name": ""}).goes_to == one.goes_to


def test_each_form_is_a_request_of_its_own() -> None:
    site = Site()
    assert send(site).goes_to != send(site).goes_to
    assert len({event["id"] for event in site.bus.events()}) == 2


def test_after_a_restart_the_same_request_is_sent_again_byte_for_byte() -> None:
    # given a request, and a site that was restarted since
    before = Site()
    link = send(before).goes_to
    after = Site()
    assert "Ask again" in after.get(link).text
    assert not after.bus.published
    # when the visitor asks again
    assert after.post(link).goes_to == link
    # then the very same bytes go out
    assert after.bus.published == before.bus.published
    assert "Asking for your time" in after.get(link).text


def test_a_request_that_could_not_be_sent_can_be_sent_again() -> None:
    # given a broker that is away
    site = Site()
    site.bus.down = True
    link = send(site).goes_to
    assert "Ask again" in site.get(link).text
    # when it is back
    site.bus.down = False
    site.post(link)
    # then the request goes out once
    assert len(site.bus.published) == 1
    assert "Asking for your time" in site.get(link).text


def test_without_valets_key_nothing_leaves_in_the_open() -> None:
    site = Site(seals=False)
    page = send(site)
    assert page.status == 503
    assert 'value="Ada Example"' in page.text  # nothing has to be typed twice
    assert not site.bus.published
    # and the same form works later
    site.seals = True
    assert site.post("/dr-example/book", {"ticket": page.hidden("ticket"), **GOOD}).status == 303


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("name", "  ", "tell us your name"),
        ("name", "A" * 101, "at most 100"),
        ("email", "", "tell us your e-mail"),
        ("email", "ada", "does not look like"),
        ("email", "ada@example", "does not look like"),
        ("email", "ada@example.com\nbcc: x@example.com", "does not look like"),
        ("q0", "x" * 501, "at most 500"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field(field: str, value: str, fault: str) -> None:
    site = Site()
    page = send(site, **{field: value})
    assert page.status == 422
    assert f'id="{field}-fault">' in page.text
    assert f'aria-describedby="{field}-fault"' in page.text
    assert page.text.count(fault) == 2  # beside the field, and in the summary
    assert not site.bus.published


def test_what_a_visitor_writes_is_shown_as_text() -> None:
    page = send(Site(), name='"><script>alert(1)</script>', email="x")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;" in page.text


@pytest.mark.parametrize("ticket", ["", "x", "altered"])
def test_a_form_that_this_site_did_not_make_is_refused(ticket: str) -> None:
    site = Site()
    if ticket == "altered":
        ticket = site.get(FORM).hidden("ticket").replace(".", "A.", 1)
    assert site.post("/dr-example/book", {"ticket": ticket, **GOOD}).status == 404
    assert not site.bus.published


def test_a_form_for_one_host_does_not_book_another() -> None:
    site = Site()
    ticket = site.get(FORM).hidden("ticket")
    assert site.post("/ms-sample/book", {"ticket": ticket, **GOOD}).status == 404
    assert not site.bus.published


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_a_form_on_another_site_does_not_act_here(headers: dict[str, str]) -> None:
    site = Site()
    ticket = site.get(FORM).hidden("ticket")
    assert site.post("/dr-example/book", {"ticket": ticket, **GOOD}, **headers).status == 403
    assert not site.bus.published
    own = {"sec_fetch_site": "same-origin", "origin": "https://site.example"}
    assert site.post("/dr-example/book", {"ticket": ticket, **GOOD}, **own).status == 303


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"x" * 40_000, {}, 413),
        (b"&".join(b"a%d=1" % at for at in range(40)), {}, 400),
        (b"\xff\xfe=1", {}, 400),
        (b"{}", {"content-type": "application/json"}, 415),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, headers: dict[str, str], status: int) -> None:
    site = Site()
    assert site.post("/dr-example/book", body, **headers).status == status
    assert not site.bus.published


def test_every_refusal_is_told_in_words_with_a_way_back() -> None:
    # given a request that is refused
    site = Site()
    link = send(site).goes_to
    id = site.bus.events()[0]["id"]
    site.hear("booking-rejected", id, 1, reason="time-taken")
    # then the page says why, and leads back to the free times
    page = site.get(link)
    assert words("time-taken") in page.text
    assert page.links("/dr-example")


def test_free_times_come_by_day_in_the_visitors_zone() -> None:
    # given eight free half hours from 22:00 UTC on
    site = Site()
    site.bus.answer = slots(datetime.fromisoformat("2026-11-30T22:00Z"), 8)
    # when somebody in Berlin looks
    page = site.get("/dr-example?minutes=60", cookie="zone=Europe/Berlin", accept_language="de")
    # then they are on two days there, and each leads to its own form
    assert "Monday 30 November" in page.text
    assert "Tuesday 1 December" in page.text
    assert "data-zone" not in page.text
    assert "/dr-example/book?minutes=60&start=2026-11-30T23:00Z" in page.links("/dr-example/book")
    # and Valet was asked for two weeks, from a quarter of an hour on
    [(question, asked)] = site.bus.asked
    assert question == "availability.slots"
    assert asked["duration_minutes"] == 60
    start, end = (datetime.fromisoformat(asked[name]) for name in ("start", "end"))
    assert (start, end - start) == (NOW.replace(minute=15), timedelta(days=14))


def test_many_free_times_are_shown_page_by_page() -> None:
    # given two weeks with something free every quarter of an hour
    site = Site()
    site.bus.answer = slots(datetime.fromisoformat("2026-12-01T05:00Z"), 14 * 96, 15)
    # when every page is looked at
    path, seen, pages = "/dr-example", [], []
    while path:
        page = site.get(path)
        pages.append(page)
        seen += page.links("/dr-example/book")
        more = [link for link in page.links("/dr-example?") if ">More days" in page.text and "from=" in link]
        path = more[-1] if more else ""
    # then each time was shown once, in order, on pages of less than 50 KB
    assert len(seen) == len(set(seen)) == 14 * 96
    assert max(len(page.text) for page in pages) < 50_000


@pytest.mark.parametrize("why", ["calendar-unreadable", "host-not-connected", "something-new"])
def test_free_times_that_cannot_be_told_are_not_shown_as_none(why: str) -> None:
    site = Site()
    site.bus.answer = {"slots": [], "why": why}
    page = site.get("/dr-example")
    assert page.status == 503
    assert words(why) in unescape(page.text)
    assert "No free times" not in page.text


def test_no_free_times_are_said_to_be_none() -> None:
    page = Site().get("/dr-example")
    assert page.status == 200
    assert "No free times" in page.text


@pytest.mark.parametrize("answer", [None, [], {"slots": [{"start": 1}]}, {"slots": "x"}])
def test_an_answer_that_is_not_understood_is_no_free_time(answer: Any) -> None:
    site = Site()
    site.bus.answer = answer
    assert site.get("/dr-example").status == 503


def test_a_bus_that_is_away_is_said() -> None:
    site = Site()
    site.bus.down = True
    assert words("service-unavailable") in site.get("/dr-example").text


def test_every_page_has_the_headers_and_no_cookie() -> None:
    site = Site()
    link = send(site).goes_to
    for path in ("/", "/dr-example", FORM, link, f"{link}/now", "/nobody", "/zone", "/cancel/x"):
        page = site.get(path)
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["cache-control"] == "no-store"
        assert "set-cookie" not in page.headers
        assert "<script>" not in page.text
        assert " style=" not in page.text
        assert len(page.text) < 50_000


def test_the_zone_can_be_chosen_without_a_script() -> None:
    page = Site().get("/zone?back=/dr-example&zone=Asia/Kolkata")
    assert (page.status, page.goes_to) == (303, "/dr-example")
    assert page.headers["set-cookie"].startswith('zone="Asia/Kolkata";')
    assert "expires" not in page.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/%0d%0ax:y"]
)
def test_choosing_a_zone_leads_nowhere_else(back: str) -> None:
    answer = Site().get(f"/zone?zone=UTC&back={back}")
    assert answer.goes_to == "/"


def test_an_error_that_nobody_foresaw_tells_nothing_of_the_visitor(caplog: pytest.LogCaptureFixture) -> None:
    # given a site whose memory breaks with the visitor's words in the error
    site = Site()
    ticket = site.get(FORM).hidden("ticket")
    caplog.set_level(logging.DEBUG)

    def broken(id: str, link: str) -> str:
        raise RuntimeError("ada@example.com")

    site.memory.first = broken  # type: ignore[method-assign]  # broken on purpose
    page = site.post("/dr-example/book", {"ticket": ticket, **GOOD})
    # then the visitor is told so, with the headers, and the log names the place and no person, link or secret
    assert page.status == 500
    assert "content-security-policy" in page.headers
    assert "a page failed: RuntimeError" in caplog.text
    for private in ("ada@example.com", "Ada", ticket, SECRET):
        assert private not in caplog.text


def test_a_link_holds_what_is_needed_and_nothing_personal() -> None:
    site = Site()
    token = send(site).goes_to.removeprefix("/status/")
    asked = site.links.read("status", token, Asked)
    assert uuid.UUID(asked.id).version == 4
    assert (asked.host, asked.sealed) == ("dr-example", "sealed-1")

"""What is said when a host's access was taken away."""

import pytest

from deploy.cli import access
from deploy.cli.answers import Ended, EndedConnection
from deploy.cli.errors import Misuse
from libs.contracts.questions import HostCalendar

CONNECTION = f"cn_{'a' * 26}"


def test_nothing_connected_is_said_to_be_nothing() -> None:
    (line,) = access.ended(Ended("dr-example"))
    assert "nothing to disconnect" in line


def test_what_the_person_can_still_do_by_hand_is_told() -> None:
    gone = EndedConnection(CONNECTION, "microsoft", "not-offered", ("https://myapps.microsoft.com",))
    lines = access.ended(Ended("dr-example", (gone,)))
    assert CONNECTION in lines[0]
    assert "https://myapps.microsoft.com" in lines[0]
    assert "`valet hosts dr-example`" in lines[-1]


def test_a_complaint_does_not_repeat_a_calendar_that_may_be_an_address() -> None:
    calendar = f"{CONNECTION}:ada@example.com"
    standing = [HostCalendar(connection=CONNECTION, calendar="primary", checked=True, written=True)]
    for check, ignore in (([calendar], [calendar]), ([], [calendar])):
        with pytest.raises(Misuse) as raised:
            access.chosen(standing, check, ignore, None)
        assert CONNECTION in raised.value.what
        assert "ada" not in raised.value.what

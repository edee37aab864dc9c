"""`valet erase`, `valet erasures`, `valet receipt verify`, as an operator calls them."""

import json
from pathlib import Path

from tests.e2e.cli.conftest import Valet
from tests.e2e.world import Heard, World, hear, tomorrow


def test_a_person_is_erased_and_the_receipt_verified(valet: Valet, world: World, names: str, tmp_path: Path) -> None:
    # given a booking of somebody who has no others
    host, address, heard = f"er-cli-{names}", f"grace.{names}@example.com", Heard()
    world.connect(host, "google")
    invitee = {"name": "Grace Example", "email": address, "time_zone": "America/New_York", "fields": {}}
    with world.tap() as tap:
        world.emit([world.request(host, tomorrow(), invitee=invitee)])
        assert hear(tap, heard, lambda h: h.of("calendar-event-written"), 60)
    (booking,) = heard.written()
    # when its person is erased
    file = tmp_path / "receipt.json"
    erased = valet("erase", address, "--yes", "--out", str(file), "--json")
    # then it is done, the booking is not known any more, and the erasure can be looked at
    assert erased.code == 0, erased.out
    assert erased.document["finished"]
    assert world.journeys([booking]) == {booking: None}
    shown = valet("erasures", erased.document["erasure"])
    assert (shown.code, "finished" in shown.out, "booking-documents" in shown.out) == (0, True, True)
    # and the receipt in the file is genuine, and nobody is named anywhere
    verified = valet("receipt", "verify", str(file), "--json")
    assert (verified.code, verified.document["genuine"]) == (0, True)
    assert json.loads(file.read_text()) == erased.document["receipt"]
    assert "grace" not in "".join(one.out + one.err for one in (erased, shown, verified)).casefold()

"""The page on security names what there is."""

import re
from pathlib import Path

import pytest

from libs.config.settings import PREFIX, Settings
from libs.providers.allowlist import EVENT_FIELDS
from libs.telemetry import metrics
from services.auth import google, microsoft

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "deploy" / "SECURITY.md", ROOT / ".github" / "SECURITY.md")
TEXT = PAGES[0].read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings of a page."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_what_it_links_to_is_there(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")) if "://" not in link]
    assert links
    for link in links:
        file, _, anchor = link.partition("#")
        assert (page.parent / file).is_file(), link
        assert not anchor or anchor in anchors(page.parent / file), link


def test_the_settings_and_metrics_it_names_exist() -> None:
    named = set(re.findall(r"VALET_\w+", TEXT))
    assert named <= {PREFIX + name.upper() for name in Settings.model_fields}
    known = {f"{one._name}_total" for one in vars(metrics).values() if hasattr(one, "_name")}
    assert set(re.findall(r"valet_[a-z_]+_total", TEXT)) <= known
    assert named


def test_the_scopes_and_fields_it_names_are_those_asked_for() -> None:
    assert f"`fields={EVENT_FIELDS}`" in TEXT
    assert "`$select=start,end,showAs`" in TEXT
    for scope in (*google.SCOPES, microsoft.READ_WRITE):
        assert f"`{scope.rpartition('/')[2]}`" in TEXT

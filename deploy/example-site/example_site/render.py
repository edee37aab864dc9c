"""Templates to pages, escaped by default."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from example_site import zones
from example_site.links import Span
from example_site.settings import Settings
from example_site.zones import Clock

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
MOST = 250  # times on one page, which keeps it under 50 KB


class Render:
    """Makes pages. Every page knows the visitor's clock."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.globals["edition"] = _edition()
        # Now, not while the first visitor waits; and so are the zones read.
        for name in self._templates.list_templates():
            self._templates.get_template(name)
        zones.by_region()

    def __call__(self, request: Request, template: str, status: int = 200, /, **values: Any) -> Response:
        """A page. `here` is its own address, for the way back from choosing a time zone."""
        query = f"?{request.url.query}" if request.url.query else ""
        here = f"{request.url.path}{query}" if request.method == "GET" else "/"
        known = request.cookies.get("zone") in zones.names()
        common = {"clock": self.clock(request), "zone_known": known, "here": here}
        return HTMLResponse(self._templates.get_template(template).render(**common, **values), status)

    def clock(self, request: Request) -> Clock:
        """How this visitor reads times."""
        return zones.clock(request.cookies.get("zone"), self._settings.zone, request.headers.get("accept-language", ""))

    def days(self, request: Request, slots: list[Span]) -> dict[str, Any]:
        """Free times as the list of days shows them: from the day asked for on, as many as fit on a page."""
        first = instant(request.query_params.get("from"))
        every = self.clock(request).days(slot.start for slot in slots)
        coming = [day for day in every if first is None or day.times[-1] >= first]
        shown, later = zones.first_of(coming, MOST)
        return {"days": shown, "every": every, "later": later, "earlier": first is not None}


def instant(text: str | None) -> datetime | None:
    """An instant from an address, or None if it is none that every clock can show."""
    try:
        at = datetime.fromisoformat(text or "")
        return at if at.tzinfo is not None and EARLIEST < at.astimezone(UTC) < LATEST else None
    except (ValueError, OverflowError):
        return None


def _edition() -> str:
    """Of the style and the scripts: part of their address, so that browsers may keep them until they change."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(STATIC.iterdir()))).hexdigest()[:12]

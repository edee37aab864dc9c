"""A client for the sandbox's admin API, for tests and demonstrations."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import requests

from deploy.sandbox.accounts import Provider
from deploy.sandbox.faults import Kind

TIMEOUT = 10.0  # seconds


class SandboxError(RuntimeError):
    """The admin API refused; the text is its reason."""


class SandboxAdmin:
    """The admin API of one sandbox. `ca_bundle` is the file of the authority that signed its certificate."""

    def __init__(self, base_url: str, ca_bundle: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._session = requests.Session()
        self._session.verify = ca_bundle
        self._session.trust_env = False

    def _call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        response = self._session.request(
            method, f"{self.base_url}/sandbox{path}", json=body, params=query, timeout=TIMEOUT
        )
        if response.status_code >= 400:
            reason = (
                response.json()["error"] if "json" in response.headers.get("content-type", "") else response.text[:200]
            )
            raise SandboxError(f"{response.status_code}: {reason}")
        return response.json() if response.content else None

    def health(self) -> dict[str, Any]:
        """That it runs. requests' exceptions if it does not."""
        return dict(self._call("GET", "/health"))

    def create_account(
        self, provider: Provider, email: str, *, name: str = "", time_zone: str = "UTC", calendars: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Make an account, with secondary calendars of these names. Doing it again changes nothing."""
        wanted = [{"name": calendar} for calendar in calendars]
        body = {"provider": provider, "email": email, "name": name, "time_zone": time_zone, "calendars": wanted}
        return dict(self._call("POST", "/accounts", body))

    def register_client(
        self, provider: Provider, client_id: str, secret: str, redirect_uris: Sequence[str] = ()
    ) -> None:
        """Register an app; without redirect_uris any address on this machine is taken."""
        body = {
            "provider": provider,
            "client_id": client_id,
            "client_secret": secret,
            "redirect_uris": list(redirect_uris),
        }
        self._call("POST", "/clients", body)

    def add_event(self, provider: Provider, email: str, start: datetime | str, end: datetime | str, **more: Any) -> str:
        """Put an outside event into the calendar; its id. `more`: title, body, location, attendees, show_as, all_day,
        cancelled, calendar, id. Times are aware datetimes, RFC 3339 texts, or days (YYYY-MM-DD) if all_day."""
        body = {"provider": provider, "email": email, "start": _text(start), "end": _text(end), **more}
        return str(self._call("POST", "/events", body)["id"])

    def change_event(self, provider: Provider, email: str, event: str, **changes: Any) -> dict[str, Any]:
        """Change an event as the person would. `changes`: start, end, title, show_as, all_day (with days as start and end),
        calendar (moves it there)."""
        body = {name: _text(value) for name, value in changes.items()}
        return dict(self._call("PATCH", f"/events/{quote(event, safe='')}", body, provider=provider, email=email))

    def delete_event(self, provider: Provider, email: str, event: str) -> None:
        """Delete an event as the person would."""
        self._call("DELETE", f"/events/{quote(event, safe='')}", provider=provider, email=email)

    def account(self, provider: Provider, email: str, raw: bool = True) -> dict[str, Any]:
        """The account with all its events and the count of those written through the provider's API (`created`)."""
        return dict(self._call("GET", "/events", provider=provider, email=email, raw=str(raw).lower()))

    def events(self, provider: Provider, email: str, raw: bool = True) -> list[dict[str, Any]]:
        """All events of all calendars of an account; raw=False leaves out the provider's resources, which is faster."""
        return list(self.account(provider, email, raw)["events"])

    def revoke_grant(self, provider: Provider, email: str) -> int:
        """Take back what the person granted; how many tokens died."""
        return int(self._call("POST", "/grants/revoke", {"provider": provider, "email": email})["tokens"])

    def expire_access_tokens(self, provider: Provider | None = None, email: str = "") -> int:
        """Let access tokens end now; how many did."""
        return int(self._call("POST", "/tokens/expire", {"provider": provider, "email": email})["tokens"])

    def add_fault(self, operation: str, kind: Kind, **more: Any) -> int:
        """Switch a fault on; its id. `more`: the other fields of FaultSpec (count, status, reason, retry_after, ...)."""
        return int(self._call("POST", "/faults", {"operation": operation, "kind": kind, **more})["id"])

    def faults(self) -> list[dict[str, Any]]:
        """The faults that are on, with how often each has `struck`."""
        return list(self._call("GET", "/faults")["faults"])

    def clear_faults(self, fault: int | None = None) -> None:
        """Switch one fault off, or all."""
        self._call("DELETE", "/faults" if fault is None else f"/faults/{fault}")

    def requests(self, operation: str = "", since: int = 0) -> list[dict[str, Any]]:
        """The recorded requests, oldest first."""
        return list(self._call("GET", "/requests", operation=operation, since=since)["requests"])

    def clear_requests(self) -> None:
        """Forget the recorded requests."""
        self._call("DELETE", "/requests")

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Change settings (access_token_seconds, transaction_id_seconds, ...); all of them as they then are."""
        return dict(self._call("PATCH" if changes else "GET", "/settings", changes or None))

    def reset(self) -> None:
        """Forget everything: people, grants, faults, the record, changed settings."""
        self._call("POST", "/reset")


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value

"""Google's error body. Shape: developers.google.com/workspace/calendar/api/guides/errors."""

from typing import Any, Final

from deploy.sandbox.call import JSON, Call

# google.rpc.Code names that accompany the HTTP status.
STATUS: Final = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
DOMAINS: Final = {
    "rateLimitExceeded": "usageLimits",
    "userRateLimitExceeded": "usageLimits",
    "quotaExceeded": "usageLimits",
    "calendarLimitExceeded": "usageLimits",
    "dailyLimitExceeded": "usageLimits",
}


def google_error(code: int, reason: str, message: str, **more: str) -> JSON:
    """An error answer; `more` goes into the single item of `errors` (location, locationType)."""
    item = {"domain": DOMAINS.get(reason, "global"), "reason": reason, "message": message, **more}
    error: dict[str, Any] = {"code": code, "message": message, "errors": [item]}
    if reason in ("authError", "insufficientPermissions"):
        error["status"] = STATUS[code]
    return JSON({"error": error}, code)


class Refused(Exception):
    """A request Google would refuse; carries the answer."""

    def __init__(self, code: int, reason: str, message: str, **more: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.answer = google_error(code, reason, message, **more)


def bad_token() -> JSON:
    """401: no token, or one that is unknown or expired."""
    answer = google_error(401, "authError", "Invalid Credentials", location="Authorization", locationType="header")
    answer.headers["www-authenticate"] = 'Bearer realm="https://accounts.google.com/", error="invalid_token"'
    return answer


def nothing_here(_: Call) -> JSON:
    """404: an address the sandbox does not play. It is recorded all the same."""
    return google_error(404, "notFound", "Not Found: the sandbox does not play this address.")


def insufficient() -> JSON:
    """403: the token lacks a scope for this."""
    return google_error(403, "insufficientPermissions", "Insufficient Permission")

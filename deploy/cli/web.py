"""Looking at pages: one GET with the standard library alone, for the usual client takes longer to import than to ask.

No redirect is followed and no proxy is used: what is asked is near, or is to be reached as the services reach it.
"""

import socket
import ssl
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

MOST = 8 << 20  # bytes of a page that are read


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: the status, the text, and the server's `Date` (RFC 9110, 6.6.1)."""

    status: int
    text: str
    date: str | None = None


class Unanswered(Exception):
    """Nothing came. Its text says why."""


def get(url: str, ca: Path | None, seconds: float) -> Answer:
    """The answer of `url` over a connection of its own; `ca` in place of the public authorities. Raises Unanswered.

    Nothing that it waits for takes longer than `seconds`.
    """
    try:
        return _got(url, ca, seconds)
    except ssl.SSLError:
        raise Unanswered("its certificate is not accepted") from None
    except OSError as error:
        raise Unanswered(unreachable(error)) from None
    except (HTTPException, ValueError) as error:
        raise Unanswered(f"cannot be asked ({type(error).__name__})") from None


def lacking(answer: Answer) -> str:
    """What keeps a service from being ready, as its page says."""
    lines = [line.removeprefix("not ready: ") for line in answer.text[:2000].splitlines() if line.strip()]
    return f"not ready: {', '.join(lines[:5])}" if answer.status == 503 else f"answers {answer.status}"


def unreachable(error: OSError) -> str:
    """A failed connection in words."""
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, socket.gaierror):
        return "the host name is not known"
    if isinstance(error, TimeoutError):
        return "no answer"
    return f"no connection ({type(error).__name__})"


def _got(url: str, ca: Path | None, seconds: float) -> Answer:
    parts = urlsplit(url)
    there, port = parts.hostname or "", parts.port
    secure = parts.scheme == "https"
    connection = (
        HTTPSConnection(there, port, timeout=seconds, context=_trust(ca))
        if secure
        else HTTPConnection(there, port, timeout=seconds)
    )
    try:
        connection.request("GET", parts._replace(scheme="", netloc="", fragment="").geturl() or "/")
        answer = connection.getresponse()
        return Answer(answer.status, answer.read(MOST).decode(errors="replace"), answer.headers.get("date"))
    finally:
        connection.close()


@cache
def _trust(ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca) if ca else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context

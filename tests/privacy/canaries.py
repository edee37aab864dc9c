"""Made-up people and secrets that nobody else has, and finding them again, however they are written.

Every canary begins with the same made-up word, its stem, and goes on with what kind it is. So one search finds all kinds, also
one that nobody thought of.
"""

import base64
import random
import string
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import quote

LETTERS = 11
PERSON = ("name", "mail", "question", "answer", "title")
"""What a request says of an invitee."""
GRANT = ("account", "access", "refresh", "code", "secret")
"""What connecting a calendar brings with it."""
ECHO = ("echo", "page", "asked", "trace")
"""What is put where it has no business: into providers' errors, addresses of pages, questions, trace headers."""
OWN = ("hosttitle", "guest")
"""In the host's own entries. Valet never reads it, so it is not even found when nothing is encrypted."""
KINDS = (*PERSON, *GRANT, *ECHO, *OWN)
ZONES = ("Antarctica/Troll", "Antarctica/Vostok")
"""Where the made-up people live; one for each of two stems."""


@dataclass(frozen=True)
class Canaries:
    """The canaries of one run."""

    stem: str
    zone: str

    @classmethod
    def pair(cls, seed: int) -> "tuple[Canaries, Canaries]":
        """Two sets that have nothing in common."""
        letters = random.Random(seed)
        stems = ["".join(letters.choices(string.ascii_lowercase, k=LETTERS)) for _ in ZONES]
        return cls(stems[0], ZONES[0]), cls(stems[1], ZONES[1])

    def __call__(self, kind: str) -> str:
        """A canary: letters alone, so that it can stand anywhere."""
        if kind not in KINDS:
            raise KeyError(kind)
        return self.stem + kind

    def invitee(self) -> dict[str, object]:
        """A person who books."""
        return {
            "name": f"{self('name').capitalize()} Example",
            "email": f"{self('mail')}@example.com",
            "time_zone": self.zone,
            "fields": {f"{self('question')}?": f'{self("answer")}, "quoted" <b>& bold\u2028 über alles'},
        }

    @cached_property
    def forms(self) -> "tuple[Form, ...]":
        """All the ways in which they may be written."""
        return tuple(_forms(self.stem, KINDS)) + tuple(_forms(self.zone, ("",), whole="zone"))


@dataclass(frozen=True)
class Form:
    """One way of writing a stem. `longer` has it with each kind behind it."""

    name: str
    pattern: bytes
    longer: Mapping[bytes, str] = field(repr=False)

    def kinds(self, data: bytes) -> Iterator[str]:
        """Of what kind are those that stand in the data."""
        at = data.find(self.pattern)
        while at >= 0:
            yield next((kind for text, kind in self.longer.items() if data.startswith(text, at)), "?")
            at = data.find(self.pattern, at + 1)


def found(data: bytes, canaries: Canaries) -> Counter[str]:
    """How often each kind stands in the data, in whatever form."""
    return Counter(kind for form in canaries.forms for kind in form.kinds(data))


def _forms(stem: str, kinds: tuple[str, ...], whole: str = "") -> Iterator[Form]:
    """Each encoding of the word as it is, in small letters, in capitals, and as a name begins; none twice."""
    known: set[bytes] = set()
    for change in (str, str.lower, str.upper, str.capitalize):
        for name, encode in ENCODINGS.items():
            pattern = encode(change(stem))
            # Longest first, so that no kind is taken for another that it begins with.
            longer = {encode(change(stem + kind)): kind or whole for kind in sorted(kinds, key=len, reverse=True)}
            if pattern not in known:
                yield Form(name, pattern, longer)
            known.add(pattern)


def _base64(text: str, before: int) -> bytes:
    """The characters that stand for this text alone when so many bytes, not a multiple of three, are in front of it."""
    raw = b"\0" * before + text.encode()
    return base64.b64encode(raw)[(0, 2, 3)[before] : len(raw) // 3 * 4]


ENCODINGS: Mapping[str, Callable[[str], bytes]] = {
    "utf-8": lambda text: text.encode(),
    "utf-16-le": lambda text: text.encode("utf-16-le"),
    "utf-16-be": lambda text: text.encode("utf-16-be"),
    "base64": lambda text: _base64(text, 0),
    "base64 after one": lambda text: _base64(text, 1),
    "base64 after two": lambda text: _base64(text, 2),
    "hex": lambda text: text.encode().hex().encode(),
    "HEX": lambda text: text.encode().hex().upper().encode(),
    "url": lambda text: quote(text, safe="").encode(),
    "percent": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()).encode(),
    "PERCENT": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()).encode(),
    "JSON slash": lambda text: text.replace("/", "\\/").encode(),
    "JSON escapes": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text).encode(),
    "JSON ESCAPES": lambda text: "".join(f"\\u{ord(letter):04X}" for letter in text).encode(),
    "decimal": lambda text: ",".join(str(byte) for byte in text.encode()).encode(),
    "decimal, spaced": lambda text: ", ".join(str(byte) for byte in text.encode()).encode(),
}
"""What the canaries consist of reads the same in url-safe base64 and in quoted-printable."""

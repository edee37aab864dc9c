"""Time as bits: bit i of an integer stands for the i-th cell of a stretch of time. Pure.

Python's integers are good at this: shifting or joining the 18,000 bits of two months takes about a microsecond.
"""

from functools import lru_cache
from typing import NamedTuple

CHUNK = 512
_STRIDES = (12, 6, 4, 3, 2)
_TO_FLAGS = bytes.maketrans(b"01", b"\0\1")


class Frame(NamedTuple):
    """`size` cells of `width` seconds; `first` counts from 1970-01-01T00:00Z. Frames begin and end at multiples of 512 cells, so
    that questions asked one after another mostly share theirs, and with it whatever was kept for it."""

    first: int
    size: int
    width: int

    @classmethod
    def around(cls, start: int, end: int, width: int) -> "Frame":
        """The smallest frame that holds [start, end), given in seconds."""
        first = start // (width * CHUNK) * CHUNK
        last = -(-end // (width * CHUNK)) * CHUNK
        return cls(first, last - first, width)

    @property
    def start(self) -> int:
        """In seconds."""
        return self.first * self.width

    @property
    def end(self) -> int:
        """In seconds."""
        return (self.first + self.size) * self.width

    @property
    def all(self) -> int:
        """Every bit set."""
        return (1 << self.size) - 1

    def below(self, at: int) -> int:
        """How many cells lie wholly before the instant: the cell that it lies in, or begins."""
        return min(max(at // self.width - self.first, 0), self.size)

    def above(self, at: int) -> int:
        """The first cell that does not begin before the instant."""
        return min(max(-(-at // self.width) - self.first, 0), self.size)


def between(low: int, high: int) -> int:
    """The bits low <= i < high."""
    return ((1 << high - low) - 1) << low if high > low else 0


@lru_cache(maxsize=1024)
def every(step: int, size: int) -> int:
    """The bits 0, step, 2 * step, … below `size`."""
    bits, filled = 1, step
    while filled < size:
        bits |= bits << filled
        filled *= 2
    return bits & ((1 << size) - 1)


def runs(bits: int, length: int) -> int:
    """The bits at which a run of `length` set bits begins."""
    have = 1
    while have < length:
        more = min(have, length - have)
        bits &= bits >> more
        have += more
    return bits


class Comb(NamedTuple):
    """Where to look for set bits: at low, low + stride, … up to the highest."""

    low: int
    stride: int
    width: int

    @classmethod
    def of(cls, bits: int) -> "Comb":
        """The widest comb that has all of these bits (at least one). Starts lie on steps, so most cells need no look."""
        low = (bits & -bits).bit_length() - 1
        width = bits.bit_length() - low
        strides = (s for s in _STRIDES if not (bits >> low) & ~every(s, width))
        return cls(low, next(strides, 1), width)

    @property
    def teeth(self) -> int:
        return -(-self.width // self.stride)

    def flags(self, bits: int) -> bytes:
        """A byte 0 or 1 for each tooth."""
        text = format((bits >> self.low) & ((1 << self.width) - 1), f"0{self.width}b")
        return text[:: -self.stride].encode().translate(_TO_FLAGS)

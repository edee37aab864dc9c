"""Slots made once and picked by bits: making them costs several times what finding them does, and most questions share theirs.

A slot is as good for one host as for another. They are kept by stretches of 512 cells, so that questions about other days share
what they have in common. What is kept takes some 15 MB where slots begin every quarter of an hour, and 30 MB at the most.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from itertools import accumulate, chain, compress, islice, repeat
from operator import add

from libs.contracts.questions import Slot
from services.availability.bits import CHUNK, Comb, Frame
from services.availability.zones import instant


def labelled(starts: int, frame: Frame, cells: int) -> list[Slot]:
    """The slots of `cells` cells at these starts, in order."""
    if not starts:
        return []
    comb = Comb.of(starts)
    first, phase = divmod(comb.low, comb.stride)
    row = _row(frame, phase, comb.stride, cells)
    return list(compress(islice(row, first, None), comb.flags(starts)))


@lru_cache(maxsize=32)
def _row(frame: Frame, phase: int, stride: int, cells: int) -> tuple[Slot, ...]:
    """A slot for the cells phase, phase + stride, … of the frame."""
    chunks = range(frame.size // CHUNK)
    parts = (_chunk(frame.first // CHUNK + n, frame.width, (phase - n * CHUNK) % stride, stride, cells) for n in chunks)
    return tuple(chain.from_iterable(parts))


@lru_cache(maxsize=512)
def _chunk(number: int, width: int, phase: int, stride: int, cells: int) -> tuple[Slot, ...]:
    """The same for the cells of one chunk; `number` counts from 1970-01-01T00:00Z."""
    touched = range(number, number + (CHUNK + cells - 1) // CHUNK + 1)
    instants = [*chain.from_iterable(_instants(n, width) for n in touched)]
    return tuple(map(Slot, instants[phase:CHUNK:stride], instants[phase + cells :: stride]))


@lru_cache(maxsize=256)
def _instants(number: int, width: int) -> tuple[datetime, ...]:
    """When each cell of a chunk begins."""
    first, cells = instant(number * CHUNK * width), repeat(timedelta(seconds=width), CHUNK - 1)
    return tuple(accumulate(cells, add, initial=first))

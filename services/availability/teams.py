"""Slots of several hosts: when all are free, or whose turn it is. Pure.

Round robin is fair in two ways. Of the hosts that are free, those with the fewest bookings come first. Hosts with equally few take
turns: the next is the one whose last turn lies furthest back on that day (of UTC); those who had none yet come first, by name,
beginning each day one further. So nobody has two turns in a row while another with as few bookings is free, the same question
gets the same answer, and a question about whole days gets the same turns whatever other days it covers.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import reduce
from itertools import compress
from operator import and_, or_

from libs.contracts.questions import Slot, TeamSlot
from services.availability.bits import Comb
from services.availability.domain import Window
from services.availability.free import Question, answered

Turn = tuple[bytes, list[str]]
"""A host: where it is free, as a byte 0 or 1 for each place, and its name as an answer carries it."""


def collective(slots_by_host: Mapping[str, Sequence[Window]]) -> list[TeamSlot]:
    """The slots that all hosts have, with all hosts in the order given; they share one list. No hosts have no slots."""
    if not slots_by_host:
        return []
    hosts = list(slots_by_host)
    common = set.intersection(*map(set, slots_by_host.values()))
    return [TeamSlot(slot.start, slot.end, hosts) for slot in sorted(common, key=_when)]


def round_robin(slots_by_host: Mapping[str, Sequence[Window]], counts: Mapping[str, int]) -> list[TeamSlot]:
    """For every slot that any host has, the one host whose turn it is. A host without a count has had no bookings."""
    has = {host: set(slots) for host, slots in slots_by_host.items()}
    found = sorted(set().union(*has.values()), key=_when)
    flags = {host: bytes(slot in slots for slot in found) for host, slots in has.items()}
    return _in_turn(found, range(len(found)), _ranks(flags, counts))


def collective_of(starts_by_host: Mapping[str, int], question: Question) -> list[TeamSlot]:
    """`collective` from the bitmaps that `free.starts` gave to this question."""
    hosts = list(starts_by_host)
    common = reduce(and_, starts_by_host.values()) if hosts else 0
    return [TeamSlot(slot.start, slot.end, hosts) for slot in answered(common, question)]


def round_robin_of(starts_by_host: Mapping[str, int], counts: Mapping[str, int], question: Question) -> list[TeamSlot]:
    """`round_robin` from the bitmaps that `free.starts` gave to this question. Slots of a host share its list."""
    anyone = reduce(or_, starts_by_host.values(), 0)
    if not anyone:
        return []
    comb = Comb.of(anyone)
    flags = {host: comb.flags(bits) for host, bits in starts_by_host.items()}
    places = compress(range(comb.teeth), comb.flags(anyone))
    return _in_turn(answered(anyone, question), places, _ranks(flags, counts))


def _in_turn(slots: Sequence[Slot], places: Iterable[int], ranks: Sequence[Sequence[Turn]]) -> list[TeamSlot]:
    """The slots with whose turn it is. The flags of who is free say it of each slot at its place."""
    today, queues, found = 0, list[list[Turn]](), list[TeamSlot]()
    for slot, place in zip(slots, places, strict=True):
        start = slot.start
        day = start.toordinal()
        if day != today:
            today, queues = day, [[*rank[day % len(rank) :], *rank[: day % len(rank)]] for rank in ranks]
        found.append(TeamSlot(start, slot.end, _next(queues, place)))
    return found


def _next(queues: Sequence[list[Turn]], place: int) -> list[str]:
    """Who is free there and comes first; it then goes to the end of its queue."""
    for queue in queues:
        for at, turn in enumerate(queue):
            if turn[0][place]:
                del queue[at]
                queue.append(turn)
                return turn[1]
    raise ValueError("nobody is free there")


def _ranks(flags: Mapping[str, bytes], counts: Mapping[str, int]) -> list[list[Turn]]:
    """The hosts with the fewest bookings first; those with equally many together, by name."""
    ranks: dict[int, list[Turn]] = {}
    for host in sorted(flags):
        ranks.setdefault(counts.get(host, 0), []).append((flags[host], [host]))
    return [ranks[count] for count in sorted(ranks)]


def _when(slot: Window) -> tuple[datetime, datetime]:
    return slot.start, slot.end

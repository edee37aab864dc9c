"""Slots of several hosts: when all are free, or whose turn it is. Pure.

Round robin is fair in two ways. Of the hosts that are free, those with the fewest bookings come first. Hosts with equally few take
turns: the next is the one whose last turn lies furthest back on that day (of UTC); those who had none yet come first, by name,
beginning each day one further. So nobody has two turns in a row while another with as few bookings is free, the same question
gets the same answer, and a question about whole days gets the same turns whatever other days it covers.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import reduce
from itertools import compress, repeat
from operator import and_, or_

from libs.contracts.questions import TeamSlot
from services.availability.bits import Comb
from services.availability.domain import Window
from services.availability.free import Question

Turn = tuple[int, list[str]]
"""A host: its bit in a group, and its name as an answer carries it."""
_LANE = 8  # hosts to a byte


def collective(slots_by_host: Mapping[str, Sequence[Window]]) -> list[TeamSlot]:
    """The slots that all hosts have, with all hosts in the order given; they share one list. No hosts have no slots."""
    if not slots_by_host:
        return []
    hosts = list(slots_by_host)
    common = set.intersection(*map(set, slots_by_host.values()))
    return [TeamSlot(slot.start, slot.end, hosts) for slot in sorted(common, key=_when)]


def round_robin(slots_by_host: Mapping[str, Sequence[Window]], counts: Mapping[str, int]) -> list[TeamSlot]:
    """For every slot that any host has, the one host whose turn it is. A host without a count has had no bookings."""
    groups: dict[Window, int] = {}
    for at, host in enumerate(sorted(slots_by_host)):
        for slot in slots_by_host[host]:
            groups[slot] = groups.get(slot, 0) | 1 << at
    found = sorted(groups, key=_when)
    turns = _turns([groups[slot] for slot in found], [slot.start for slot in found], _ranks(slots_by_host, counts))
    return [TeamSlot(slot.start, slot.end, hosts) for slot, hosts in zip(found, turns, strict=True)]


def collective_of(starts_by_host: Mapping[str, int], question: Question) -> list[TeamSlot]:
    """`collective` from the bitmaps that `free.starts` gave to this question."""
    common = reduce(and_, starts_by_host.values()) if starts_by_host else 0
    if not common:
        return []
    comb, instants = Comb.of(common), question.frame.instants()
    flags = comb.flags(common)
    begins, ends = comb.pick(instants, flags), comb.pick(instants, flags, question.cells)
    return list(map(TeamSlot, begins, ends, repeat(list(starts_by_host))))


def round_robin_of(starts_by_host: Mapping[str, int], counts: Mapping[str, int], question: Question) -> list[TeamSlot]:
    """`round_robin` from the bitmaps that `free.starts` gave to this question. Slots of a host share its list."""
    anyone = reduce(or_, starts_by_host.values(), 0)
    if not anyone:
        return []
    comb, instants = Comb.of(anyone), question.frame.instants()
    flags = comb.flags(anyone)
    begins = list(comb.pick(instants, flags))
    groups = _groups(comb, flags, [starts_by_host[host] for host in sorted(starts_by_host)])
    turns = _turns(groups, begins, _ranks(starts_by_host, counts))
    return list(map(TeamSlot, begins, comb.pick(instants, flags, question.cells), turns))


def _turns(groups: Iterable[int], begins: Iterable[datetime], ranks: Sequence[Sequence[Turn]]) -> list[list[str]]:
    """Whose turn it is, given who is free at each start."""
    today, queues, chosen = 0, list[list[Turn]](), list[list[str]]()
    for group, day in zip(groups, map(datetime.toordinal, begins), strict=True):
        if day != today:
            today, queues = day, [[*rank[day % len(rank) :], *rank[: day % len(rank)]] for rank in ranks]
        for queue in queues:
            for turn in queue:
                if turn[0] & group:
                    break
            else:
                continue  # nobody of these is free: on to those with more bookings
            queue.remove(turn)
            queue.append(turn)
            chosen.append(turn[1])
            break
    return chosen


def _ranks(hosts: Iterable[str], counts: Mapping[str, int]) -> list[list[Turn]]:
    """The hosts with the fewest bookings first; those with equally many together, by name."""
    ranks: dict[int, list[Turn]] = {}
    for at, host in enumerate(sorted(hosts)):
        ranks.setdefault(counts.get(host, 0), []).append((1 << at, [host]))
    return [ranks[count] for count in sorted(ranks)]


def _groups(comb: Comb, flags: bytes, starts: Sequence[int]) -> Sequence[int]:
    """For each tooth of the comb that is set in `flags` who is free there: a bit for each host."""
    groups: Sequence[int] = ()
    for at in range(0, len(starts), _LANE):
        lane = bytes(compress(_lane(comb, starts[at : at + _LANE]), flags))
        groups = [group | byte << at for group, byte in zip(groups, lane, strict=True)] if at else lane
    return groups


def _lane(comb: Comb, starts: Sequence[int]) -> bytes:
    """For each tooth of the comb which of up to eight hosts are free: their flags laid over each other."""
    rows = (int.from_bytes(comb.flags(bits), "little") << at for at, bits in enumerate(starts))
    return reduce(or_, rows).to_bytes(comb.teeth, "little")


def _when(slot: Window) -> tuple[datetime, datetime]:
    return slot.start, slot.end

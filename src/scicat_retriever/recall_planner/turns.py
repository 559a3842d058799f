"""Whose turn it is among what may be asked for: by priority, then by fair share, then by age."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter, itemgetter
from typing import Generic, TypeVar

from scicat_retriever.recall_planner.bundles import Bundle
from scicat_retriever.recall_planner.rates import ObservedRates, Shares
from scicat_retriever.recall_planner.requests import RecallRequest

FORESEEN = 200
"""Turns that are foreseen with what each costs its groups."""
T = TypeVar("T")
Lane = tuple[int, frozenset[str]]
"""Priority and owner groups: things in the same lane have their turns by age alone."""
REQUEST_SECONDS = 1.0
"""Seconds that an archive costs its group beside its bytes, so that many small ones are not free."""


class Turns(Generic[T]):
    """Things in the order of their turns.

    Drive time that is charged to a group meanwhile puts the group's other things back.

    Args:
        things: What waits for a turn.
        lane: Gives the priority and groups of a thing.
        age: Gives the moment since which a thing waits, seconds.
        shares: What groups had.
        foreseen: How many turns go by share, which takes long to foresee; later turns go by priority and age
            alone.
    """

    def __init__(
        self,
        things: Iterable[T],
        lane: Callable[[T], Lane],
        age: Callable[[T], float],
        shares: Shares,
        foreseen: int = FORESEEN,
    ) -> None:
        lanes: dict[Lane, list[T]] = {}
        for thing in sorted(things, key=age):
            lanes.setdefault(lane(thing), []).append(thing)
        for ordered in lanes.values():
            ordered.reverse()  # the next one is taken from the end
        self._lanes = list(lanes.items())
        self._age = age
        self._shares = shares
        self._foreseen = foreseen
        self._heap = [self._entry(number) for number in range(len(self._lanes))]
        heapq.heapify(self._heap)

    def __iter__(self) -> Iterator[T]:
        """Take the things out, one after the other."""
        for _ in range(self._foreseen):
            if not self._heap:
                return
            yield self._first()
        far = [
            (-priority, self._age(each), each)
            for (priority, _), lane in self._lanes
            for each in reversed(lane)
        ]
        far.sort(key=itemgetter(0, 1))
        for _, _, each in far:
            yield each

    def _first(self) -> T:
        heap = self._heap
        while (entry := self._entry(heap[0][-1])) != heap[0]:
            heapq.heapreplace(heap, entry)  # its groups were charged since
        lane = self._lanes[entry[-1]][1]
        thing = lane.pop()
        if lane:
            heapq.heapreplace(heap, (*entry[:2], self._age(lane[-1]), entry[-1]))
        else:
            heapq.heappop(heap)
        return thing

    def _entry(self, number: int) -> tuple[int, float, float, int]:
        (priority, groups), lane = self._lanes[number]
        return (-priority, self._shares.least(groups), self._age(lane[-1]), number)


def turns_of_bundles(bundles: Iterable[Bundle], shares: Shares) -> Turns[Bundle]:
    """Give bundles by turn.

    A bundle has the highest priority of its waiting requests, and the smallest drive time of their groups.
    """
    return Turns(
        bundles, lambda each: (each.priority, frozenset(each.groups)), lambda each: each.oldest, shares
    )


def charge(
    shares: Shares, requests: Iterable[RecallRequest], rates: ObservedRates, mount: float = 0.0
) -> None:
    """Charge the drive time of archives to their groups.

    The archives bear a mount of `mount` seconds in equal parts.
    """
    requests = list(requests)
    each = REQUEST_SECONDS + (mount / len(requests) if requests else 0.0)
    for request in requests:
        shares.charge(request.group, each + request.bytes * rates.seconds_per_byte)


def in_turn(
    requests: Iterable[RecallRequest], shares: Shares, rates: ObservedRates, overdue: float, count: int
) -> list[RecallRequest]:
    """Order archives that are asked for one by one.

    Args:
        requests: The archives.
        shares: The drive time that groups had; it is not changed.
        rates: How fast the store is.
        overdue: A moment, seconds: archives wanted since then or longer go first, the oldest first.
        count: How many may be asked for now.
    """
    late: list[RecallRequest] = []
    others: list[RecallRequest] = []
    for request in requests:
        (late if request.wanted_at <= overdue else others).append(request)
    late.sort(key=attrgetter("wanted_at", "archive"))
    others.sort(key=attrgetter("archive"))
    foreseen = shares.copy()
    charge(foreseen, late, rates)
    lanes = {(each.priority, each.group): (each.priority, frozenset((each.group,))) for each in others}
    turns = Turns(
        others,
        lambda each: lanes[each.priority, each.group],
        attrgetter("wanted_at"),
        foreseen,
        max(0, count - len(late)) + FORESEEN,
    )
    for request in turns:
        charge(foreseen, (request,), rates)
        late.append(request)
    return late

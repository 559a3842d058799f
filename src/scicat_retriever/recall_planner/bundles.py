"""Bundles of requests that a store is best asked for together, and what it may still be asked for now."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from operator import attrgetter

from scicat_retriever.domain.states import RecallPhase
from scicat_retriever.recall_planner.requests import RecallPolicy, RecallRequest

BY_PLACE = attrgetter("position", "order", "archive")
"""Sorts the requests of a bundle as they are best read."""
PHASES = (RecallPhase.WAITING, RecallPhase.ASKED, RecallPhase.ONLINE)


@dataclass(slots=True, eq=False)
class Bundle:
    """The open requests of one tape, or of one dataset where no tape is known.

    Attributes:
        tape: The tape; empty for none.
        waiting: Requests that the store was not asked for, in the order in which they are best read.
        asked: Requests that the store was asked for, in the same order.
        online: Requests whose archives are online and not copied yet.
        bytes: Bytes of the waiting requests.
        flying: Bytes of the requests that are asked for or online.
        oldest: The earliest `wanted_at` of the waiting requests, seconds; infinite where none waits.
        priority: The highest priority of the waiting requests.
        groups: The owner groups of the waiting requests.
    """

    tape: str
    waiting: list[RecallRequest] = field(default_factory=list)
    asked: list[RecallRequest] = field(default_factory=list)
    online: list[RecallRequest] = field(default_factory=list)
    bytes: int = 0
    flying: int = 0
    oldest: float = math.inf
    priority: int = 0
    groups: set[str] = field(default_factory=set)

    def add(self, request: RecallRequest) -> None:
        """Add a request, by its phase."""
        if request.phase is RecallPhase.WAITING:
            if not self.waiting or request.priority > self.priority:
                self.priority = request.priority
            self.waiting.append(request)
            self.bytes += request.bytes
            self.groups.add(request.group)
            if request.wanted_at < self.oldest:
                self.oldest = request.wanted_at
            return
        (self.asked if request.phase is RecallPhase.ASKED else self.online).append(request)
        self.flying += request.bytes

    def take(self, taken: list[RecallRequest]) -> None:
        """Note that the store is asked for `taken`, the first ones of the waiting requests."""
        left = self.waiting[len(taken) :]
        self._wait(left)
        self.asked.extend(taken)
        self.flying += sum(request.bytes for request in taken)

    def part(self, until: float) -> Bundle:
        """Split off the waiting requests with `wanted_at` after `until`, as a bundle that may be empty."""
        rest = Bundle(self.tape)
        rest._wait([request for request in self.waiting if request.wanted_at > until])
        if rest.waiting:
            self._wait([request for request in self.waiting if request.wanted_at <= until])
        return rest

    def with_all(self, rest: Bundle) -> Bundle:
        """Take the waiting requests back that were split off."""
        if rest.waiting:
            self._wait(sorted([*self.waiting, *rest.waiting], key=BY_PLACE))
        return self

    def _wait(self, waiting: Iterable[RecallRequest]) -> None:
        self.waiting, self.bytes, self.oldest, self.priority, self.groups = [], 0, math.inf, 0, set()
        for request in waiting:
            self.add(request)

    def in_flight(self, *, stalled: bool) -> list[int]:
        """Give the bytes of each archive that counts as in flight.

        These are archives that are asked for or online; if the tape is stalled, only those that are online.
        """
        return [each.bytes for each in (self.online if stalled else (*self.asked, *self.online))]

    def becomes_ripe(self, policy: RecallPolicy) -> float:
        """Give the moment from which the bundle is worth asking for, seconds.

        Minus infinity if it has bytes or archives enough now.
        """
        if self.bytes >= policy.mount_bytes or len(self.waiting) >= policy.mount_count:
            return -math.inf
        return self.oldest + (policy.mount_age if self.tape else policy.collect_time)


@dataclass(slots=True)
class Allowance:
    """What the store may still be asked for now.

    Attributes:
        bytes: Bytes that may still be in flight.
        requests: Archives that may still be in flight.
        tokens: Archives that the rate of requests allows now.
        idle: Whether nothing is in flight: then one archive of any size may be asked for.
    """

    bytes: int
    requests: int
    tokens: float
    idle: bool

    def fits(self, size: int) -> bool:
        """Say whether an archive of `size` bytes may be asked for."""
        return self.requests > 0 and self.tokens >= 1 and (size <= self.bytes or self.idle)

    def take(self, size: int) -> None:
        """Count an archive of `size` bytes that is asked for."""
        self.bytes -= size
        self.requests -= 1
        self.tokens -= 1
        self.idle = False


def joined(requests: Iterable[RecallRequest]) -> list[RecallRequest]:
    """Join the requests for the same archive into one.

    It has the furthest phase, the earliest `wanted_at` with the group of that request, and the highest
    priority.
    """
    found: dict[str, RecallRequest] = {}
    for request in requests:
        other = found.setdefault(request.archive, request)
        if other is not request:
            found[request.archive] = _join(other, request)
    return list(found.values())


def bundled(requests: Iterable[RecallRequest]) -> list[Bundle]:
    """Put requests, each for another archive, into bundles.

    The waiting and the asked requests of a bundle are in the order in which they are best read.
    """
    bundles: dict[tuple[str, str], Bundle] = {}
    for request in requests:
        key = (request.tape, "") if request.tape else ("", request.order[0])
        bundle = bundles.get(key)
        if bundle is None:
            bundle = bundles[key] = Bundle(key[0])
        bundle.add(request)
    for bundle in bundles.values():
        bundle.waiting.sort(key=BY_PLACE)
        bundle.asked.sort(key=BY_PLACE)
    return [bundles[key] for key in sorted(bundles)]


def _join(one: RecallRequest, other: RecallRequest) -> RecallRequest:
    first = min(one, other, key=attrgetter("wanted_at", "group"))
    far = max(one, other, key=lambda request: PHASES.index(request.phase))
    return replace(
        far, group=first.group, wanted_at=first.wanted_at, priority=max(one.priority, other.priority)
    )

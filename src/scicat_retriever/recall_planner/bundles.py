"""Requests in bundles: what is best asked of a store together, and what may still be asked of it now."""

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
        waiting: What the store was not asked for, in the order in which it is best read.
        asked: What it was asked for, in that order.
        online: What is online and not copied yet.
        bytes: Bytes of what waits.
        flying: Bytes of what is asked for or online.
        oldest: Since when the oldest waits, seconds; infinite where none does.
        priority: The highest of those that wait.
        groups: The owner groups of those that wait.
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
        """Take a request in."""
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
        """Note that the store is asked for the first of those that wait."""
        left = self.waiting[len(taken) :]
        self._wait(left)
        self.asked.extend(taken)
        self.flying += sum(request.bytes for request in taken)

    def part(self, until: float) -> Bundle:
        """Part with what has waited since later than `until` only; gives a bundle of that, which may be empty."""
        rest = Bundle(self.tape)
        rest._wait([request for request in self.waiting if request.wanted_at > until])
        if rest.waiting:
            self._wait([request for request in self.waiting if request.wanted_at <= until])
        return rest

    def with_all(self, rest: Bundle) -> Bundle:
        """Take back what was parted with."""
        if rest.waiting:
            self._wait(sorted([*self.waiting, *rest.waiting], key=BY_PLACE))
        return self

    def _wait(self, waiting: Iterable[RecallRequest]) -> None:
        self.waiting, self.bytes, self.oldest, self.priority, self.groups = [], 0, math.inf, 0, set()
        for request in waiting:
            self.add(request)

    def in_flight(self, *, stalled: bool) -> list[int]:
        """Give the bytes of each archive that counts as in flight: where the tape is stalled, what is online alone."""
        return [each.bytes for each in (self.online if stalled else (*self.asked, *self.online))]

    def becomes_ripe(self, policy: RecallPolicy) -> float:
        """Say from when on it is worth asking for; minus infinity where it is so much."""
        if self.bytes >= policy.mount_bytes or len(self.waiting) >= policy.mount_count:
            return -math.inf
        return self.oldest + (policy.mount_age if self.tape else policy.collect_time)


@dataclass(slots=True)
class Allowance:
    """What the store may still be asked for now.

    Attributes:
        bytes: Bytes.
        requests: Archives, for want of room.
        tokens: Archives, for the rate.
        idle: Whether nothing is in flight, so that one archive may be as large as it likes.
    """

    bytes: int
    requests: int
    tokens: float
    idle: bool

    def fits(self, size: int) -> bool:
        """Say whether an archive may be asked for."""
        return self.requests > 0 and self.tokens >= 1 and (size <= self.bytes or self.idle)

    def take(self, size: int) -> None:
        """Count an archive that is asked for."""
        self.bytes -= size
        self.requests -= 1
        self.tokens -= 1
        self.idle = False


def joined(requests: Iterable[RecallRequest]) -> list[RecallRequest]:
    """Make one of requests for the same archive: as far as the furthest, as old as the oldest, as urgent as the most urgent."""
    found: dict[str, RecallRequest] = {}
    for request in requests:
        other = found.setdefault(request.archive, request)
        if other is not request:
            found[request.archive] = _join(other, request)
    return list(found.values())


def bundled(requests: Iterable[RecallRequest]) -> list[Bundle]:
    """Put requests, each for another archive, into bundles, with those that wait in the order in which they are best read."""
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

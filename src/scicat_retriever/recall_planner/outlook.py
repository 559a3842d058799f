"""The outlooks that those who wait are told: why they wait, and about how long.

Words and times are coarse, so that they change rarely: each change is written into the ledger.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

from scicat_retriever.domain.amounts import ordinal
from scicat_retriever.recall_planner.bundles import Bundle
from scicat_retriever.recall_planner.rates import ObservedRates
from scicat_retriever.recall_planner.requests import HOUR, RecallPolicy, RecallRequest

MINUTE = 60.0
DAY = 24 * HOUR
STEPS = (
    *((minutes * MINUTE, f"about {minutes} min") for minutes in (5, 10, 20, 40)),
    *((hours * HOUR, f"about {hours} h") for hours in (1, 2, 3, 4, 6, 8, 12, 18)),
    (DAY, "about 1 day"),
    *((days * DAY, f"about {days} days") for days in (2, 3, 4, 5, 7, 10, 14)),
    (21 * DAY, "more than 14 days"),
)
"""The times that are told, in seconds and in words."""
LIMITS = [0.9 * (low + high) / 2 for (low, _), (high, _) in pairwise(STEPS)]
EXACT_PLACES = 10
DEADLINE_STEP = 5 * MINUTE


class Outlook(NamedTuple):
    """What the planner foresees of one archive.

    Attributes:
        text: Why it waits and about how long, in words for the scientist.
        seconds: Seconds from now until it is online, as far as can be told; 0 where it is online; None where
            nothing is known.
    """

    text: str
    seconds: float | None


@dataclass(slots=True)
class Reading:
    """A tape that is read.

    Attributes:
        bundle: Its requests.
        mounting: Whether no archive of it came yet.
        since: When the last archive came, or the first was asked for, seconds.
        stalled: Whether `since` is so long ago that others do not wait for the tape.
    """

    bundle: Bundle
    mounting: bool
    since: float
    stalled: bool = False


@dataclass(slots=True)
class Prospect:
    """All bundles of a store, by how far they are.

    Attributes:
        reading: The tapes that are read.
        queue: Bundles that are worth asking for, in the order of their turns.
        collecting: Bundles that are not worth asking for yet.
        asked_blindly: Requests that the store was asked for and whose tape is not known.
    """

    reading: list[Reading]
    queue: list[Bundle]
    collecting: list[Bundle]
    asked_blindly: list[RecallRequest]


def about(seconds: float) -> str:
    """Write a time, in seconds, coarsely in words."""
    return STEPS[bisect_left(LIMITS, seconds)][1]


def place(number: int) -> str:
    """Write the number of a place in the queue, from 1; far ones coarsely."""
    if number <= EXACT_PLACES:
        return ordinal(number)
    return f"about {ordinal(_coarse(number))}"


def outlooks(
    prospect: Prospect, policy: RecallPolicy, rates: ObservedRates, now: float
) -> dict[str, Outlook]:
    """Give the outlook of each archive, as if nothing else were wanted from now on."""
    told: dict[str, Outlook] = {}
    ends = [_tell_reading(each, rates, now, told) for each in prospect.reading if not each.stalled]
    for reading in prospect.reading:
        if reading.stalled:
            _tell_stalled(reading, now, told)
    drives = ends + [now] * (policy.drives - len(ends))
    heapq.heapify(drives)
    number = 0
    for bundle in prospect.queue:
        if bundle.tape:
            number += 1
            head = f"waiting for tape {bundle.tape}, {place(number)} in queue"
            _tell_later(bundle, head, now, drives, rates, now, told)
    for bundle in prospect.collecting:
        due = bundle.becomes_ripe(policy)
        if bundle.tape:
            head = f"collecting requests for tape {bundle.tape} until {_clock(due, now)} at the latest"
            _tell_later(bundle, head, due, drives, rates, now, told, timed=False)
    _tell_unknown(prospect, policy, rates, now, told)
    return told


def by_queue(
    queue: Sequence[RecallRequest],
    asked: Sequence[RecallRequest],
    policy: RecallPolicy,
    rates: ObservedRates,
    now: float,
) -> dict[str, Outlook]:
    """Give the outlooks where no tapes are known: of `queue`, which waits in this order, and of `asked`."""
    told: dict[str, Outlook] = {}
    answer = rates.answer_seconds
    ahead = 0
    for request in asked:
        left = None if answer is None else max(0.0, answer - (now - (request.asked_at or now)))
        told[request.archive] = Outlook(_timed("asked of the store", left), left)
        ahead += request.bytes
    known: dict[tuple[int, int], Outlook] = {}
    for number, request in enumerate(queue, 1):
        ahead += request.bytes
        turns = 1 + ahead // policy.bytes_in_flight
        key = (_coarse(number), turns)
        outlook = known.get(key)
        if outlook is None:
            seconds = None if answer is None else answer * turns
            text = _timed(f"waiting for its turn at the store, {place(number)} in queue", seconds)
            outlook = known[key] = Outlook(text, seconds)
        told[request.archive] = outlook
    return told


def tell_online(requests: Sequence[RecallRequest], told: dict[str, Outlook]) -> None:
    """Add to `told` the outlooks of archives that are online."""
    there = Outlook("back from tape, waiting to be copied", 0.0)
    for request in requests:
        told[request.archive] = there


def _tell_reading(reading: Reading, rates: ObservedRates, now: float, told: dict[str, Outlook]) -> float:
    """Add to `told` the archives of a tape that is read; gives the moment when all will be read."""
    bundle = reading.bundle
    passed = max(0.0, now - reading.since)
    start = max(0.0, rates.mount_seconds - passed) if reading.mounting else 0.0
    credit = 0.0 if reading.mounting else passed
    head = f"being read from tape {bundle.tape}"
    return now + _tell_in_turn((*bundle.asked, *bundle.waiting), head, start, credit, rates, told)


def _tell_stalled(reading: Reading, now: float, told: dict[str, Outlook]) -> None:
    tape = reading.bundle.tape
    outlook = Outlook(
        f"asked for from tape {tape}, which gave nothing for {about(now - reading.since)}", None
    )
    told.update((request.archive, outlook) for request in reading.bundle.asked)


def _tell_later(
    bundle: Bundle,
    head: str,
    due: float,
    drives: list[float],
    rates: ObservedRates,
    now: float,
    told: dict[str, Outlook],
    *,
    timed: bool = True,
) -> None:
    """Add to `told` the archives of a tape that is read once it is due and a drive is free.

    The drive is taken until all of them are read.
    """
    start = max(heapq.heappop(drives), due, now) - now + rates.mount_seconds
    end = _tell_in_turn(bundle.waiting, head, start, 0.0, rates, told, timed=timed)
    heapq.heappush(drives, now + end)


def _tell_in_turn(
    requests: Sequence[RecallRequest],
    head: str,
    start: float,
    credit: float,
    rates: ObservedRates,
    told: dict[str, Outlook],
    *,
    timed: bool = True,
) -> float:
    """Add to `told` archives that are read one after the other.

    Args:
        requests: The archives, in the order in which they are read.
        head: The words before the time.
        start: Seconds from now until the first is read.
        credit: Seconds for which the first has been read already.
        rates: How fast the store is.
        told: Where the outlooks are added.
        timed: Whether the words tell the time.
    """
    per_byte = rates.seconds_per_byte
    limits, texts = LIMITS, [f"{head}, {words}" if timed else head for _, words in STEPS]
    seconds = start
    for request in requests:
        took = request.bytes * per_byte
        if credit:
            took, credit = max(0.0, took - credit), 0.0
        seconds += took
        told[request.archive] = Outlook(texts[bisect_left(limits, seconds)], seconds)
    return seconds


def _tell_unknown(
    prospect: Prospect, policy: RecallPolicy, rates: ObservedRates, now: float, told: dict[str, Outlook]
) -> None:
    """Add to `told` archives whose tape is not known."""
    bundles = [bundle for bundle in (*prospect.queue, *prospect.collecting) if not bundle.tape]
    queue = [request for bundle in bundles for request in bundle.waiting]
    told.update(by_queue(queue, prospect.asked_blindly, policy, rates, now))


def _timed(head: str, seconds: float | None) -> str:
    return head if seconds is None else f"{head}, {about(seconds)}"


def _clock(moment: float, now: float) -> str:
    """Write a moment in UTC, rounded up; with the day if it is a day or more ahead."""
    rounded = datetime.fromtimestamp(math.ceil(moment / DEADLINE_STEP) * DEADLINE_STEP, UTC)
    return f"{rounded:%H:%M} UTC" if moment - now < DAY else f"{rounded:%d %B %H:%M} UTC"


def _coarse(number: int) -> int:
    digits = 10 ** (len(str(number)) - 1)
    return round(number / digits) * digits if number > EXACT_PLACES else number

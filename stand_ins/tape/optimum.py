"""The fewest mounts that recalls could cost somebody who knows what will be asked for: what a planner is measured by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Read(NamedTuple):
    """An archive to be read once.

    Attributes:
        tape: Its tape.
        at: When it is asked for, seconds.
        bytes: Its size.
    """

    tape: str
    at: float
    bytes: int


def fewest_mounts(
    reads: Iterable[Read],
    within: float,
    *,
    mount_seconds: float = 0.0,
    bytes_per_second: float = float("inf"),
    linger: float = 0.0,
) -> int:
    """Give a number of mounts that no schedule can do with less.

    A schedule here knows the future, and has as many drives as it likes, so each tape stands alone. It has a tape mounted at
    the latest `within` seconds after the first of the archives is asked for that it reads then. It may read whatever else is
    asked for while it mounts and reads, or within `linger` seconds after, and so stay; but a tape does not stay mounted
    without work for longer. It may also end when it likes, and leave things for the next mount, which they make longer.

    It may be less than what any real schedule could do, since it lets a mount begin before the one before has ended. With no
    time for mounting and reading, each mount is a point in time that has to lie within `within` seconds after the arrival of
    all that it serves: the fewest points that stab all those intervals.

    A planner can do with less only by letting somebody wait for longer than `within`.

    Args:
        reads: What is read.
        within: Seconds in which its tape has to be mounted.
        mount_seconds: What a mount takes.
        bytes_per_second: How fast a tape is read; seeks not counted.
        linger: How long a tape stays mounted without work, seconds.
    """
    tapes: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for read in reads:
        tapes[read.tape].append((read.at, read.bytes / bytes_per_second))
    return sum(_on_one_tape(sorted(each), within, mount_seconds, linger) for each in tapes.values())


def _on_one_tape(reads: Sequence[tuple[float, float]], within: float, mount: float, linger: float) -> int:
    """Give the fewest mounts for one tape.

    It is enough to look at mounts that read a stretch of the reads in the order of their arrival: what a mount leaves out, it
    may leave out with all that comes later, and the next mount, which has to begin early enough for the first of these,
    only lasts longer by the rest. And of mounts for a stretch with the same first read, the latest lasts longest.
    """
    fewest = [0] * (len(reads) + 1)
    for first in range(len(reads) - 1, -1, -1):
        fewest[first] = 1 + min(fewest[first + 1 : _reach(reads, first, within, mount, linger) + 1])
    return fewest[0]


def _reach(
    reads: Sequence[tuple[float, float]], first: int, within: float, mount: float, linger: float
) -> int:
    """Say which read is the first that a mount for `first` and those after it comes too early for."""
    start = reads[first][0] + within
    done = start + mount
    number = first
    while number < len(reads) and (reads[number][0] <= start or reads[number][0] <= done + linger):
        done = max(done, reads[number][0]) + reads[number][1]
        number += 1
    return number

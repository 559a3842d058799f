"""What the recall planner is told: the open requests of one store, and the policy of that store."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from scicat_retriever.domain.states import RecallPhase

HOUR = 3600.0
TERA = 10**12


@dataclass(frozen=True, slots=True)
class RecallRequest:
    """An archive that is wanted from a store, whoever wants it, and however many.

    Only what has its space in staging belongs here: what the planner is told of it may ask for at once.

    Attributes:
        archive: Its name, unique in the store. Requests with the same name are one.
        bytes: Its size.
        wanted_at: When it was wanted first, seconds since 1970, UTC.
        group: The owner group that wants it; empty where that is not known, which is a group of its own.
        priority: The larger goes first.
        tape: The label of its tape; empty where the store does not tell.
        position: Its place on that tape.
        order: Its dataset and its place among the dataset's archives: the order where no tape is known.
        phase: How far it is.
        asked_at: When the store was asked for it; None while it waits.
    """

    archive: str
    bytes: int
    wanted_at: float
    group: str = ""
    priority: int = 0
    tape: str = ""
    position: int = 0
    order: tuple[str, int] = ("", 0)
    phase: RecallPhase = RecallPhase.WAITING
    asked_at: float | None = None


@dataclass(frozen=True, slots=True)
class RecallPolicy:
    """How one store is used.

    A tape is asked for when what waits for it is worth a mount: enough bytes, enough archives, or an archive that has waited
    long enough.

    Attributes:
        drives: The most tapes that we have read at once.
        mount_bytes: The volume that is worth a mount.
        mount_count: The number of archives that is worth a mount.
        mount_age: Seconds after which any archive is worth a mount.
        longest_wait: Seconds after which an archive goes before all others that have waited less, whatever their priority
            and their group's share.
        longest_session: Seconds after which a tape that is read makes way for others that are worth a mount.
        stall_time: Seconds after which a tape that gave nothing counts no longer, neither among the drives nor in flight: it
            is broken, or its drive is, and others should not wait for it. An archive whose tape is not known counts no longer
            in flight when it was asked for so long ago.
        linger: Seconds for which the store leaves a tape in its drive when nothing is asked from it.
        collect_time: As `mount_age`, for archives whose tape is not known.
        bytes_in_flight: The most bytes that are asked for or online, and not copied yet. A larger archive goes alone.
        requests_in_flight: The most archives that are.
        requests_per_second: The most archives that are asked for per second, on average; None sets no limit.
        burst: The most archives that are asked for at once where `requests_per_second` is set.
        weights: The shares of owner groups: one with weight 2 gets twice the drive time of one with weight 1, which is what
            groups have that are not named here.
        usage_half_life: Seconds after which the drive time that a group had counts half.
        collect: False for a store without tapes: nothing is collected, drives do not count, each archive goes by itself.
        mount_seconds: What a mount is thought to take until the first are seen.
        bytes_per_second: What a drive is thought to read until the first reads are seen.
    """

    drives: int = 4
    mount_bytes: int = 2 * TERA
    mount_count: int = 1000
    mount_age: float = HOUR
    longest_wait: float = 24 * HOUR
    longest_session: float = 6 * HOUR
    stall_time: float = 4 * HOUR
    linger: float = 120.0
    collect_time: float = 60.0
    bytes_in_flight: int = 10 * TERA
    requests_in_flight: int = 10_000
    requests_per_second: float | None = None
    burst: int = 100
    weights: Mapping[str, float] = field(default_factory=dict)
    usage_half_life: float = 24 * HOUR
    collect: bool = True
    mount_seconds: float = 120.0
    bytes_per_second: float = 300e6

    def __post_init__(self) -> None:
        """Refuse what no store can be used by.

        Raises:
            ValueError: A limit is not above 0 (or below 0 where 0 has a meaning), or `longest_wait` is below `mount_age`
                or `collect_time`.
        """
        for name in (
            "drives", "mount_bytes", "mount_count", "longest_wait", "longest_session", "stall_time", "bytes_in_flight",
            "requests_in_flight", "burst", "usage_half_life", "bytes_per_second",
        ):  # fmt: skip
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0")
        for name in ("mount_age", "linger", "collect_time", "mount_seconds"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must not be below 0")
        if self.requests_per_second is not None and not self.requests_per_second > 0:
            raise ValueError("requests_per_second must be above 0")
        if any(not weight > 0 for weight in self.weights.values()):
            raise ValueError("each weight must be above 0")
        if self.longest_wait < max(self.mount_age, self.collect_time):
            raise ValueError("longest_wait must not be below mount_age or collect_time")

"""What the recall planner is told: the open requests of one store, and the policy of that store."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Annotated

from annotated_types import Gt

from scicat_retriever.domain.policy import Positive, SecondsOrNone, choice
from scicat_retriever.domain.states import RecallPhase

HOUR = 3600.0
TERA = 10**12


@dataclass(frozen=True, slots=True)
class RecallRequest:
    """An archive that is wanted from a store.

    Its dataset must have its space in staging: the planner may ask for any request at once.

    Attributes:
        archive: Its name, unique in the store. Requests with the same name count as one, whoever wants it.
        bytes: Its size.
        wanted_at: When it was wanted first, seconds since 1970, UTC.
        group: The owner group that wants it; empty where that is not known, which is a group of its own.
        priority: The larger goes first.
        tape: The label of its tape; empty where the store does not tell.
        position: Where on that tape it lies.
        order: Its dataset and its number among the dataset's archives: the order where no tape is known.
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


@dataclass(frozen=True)
class RecallChoices:
    """How one store is used, as its operator chooses. Durations are seconds, sizes are bytes.

    A tape is asked for when what waits for it is worth a mount: enough bytes, enough archives, or an archive
    that has waited long enough. An archive larger than `bytes_in_flight` goes alone.

    A tape that gave nothing for `stall_time` is stalled: archives that are asked of it do not count as in
    flight any more, nor the tape as taking a drive, so that others do not wait for it. An archive of unknown
    tape that was asked for so long ago does not count as in flight either.
    """

    collect: bool | None = choice(
        None,
        "Whether requests are collected until a tape is worth a mount. Without it: yes, but not for `s3_glacier`.",
    )
    drives: Positive = choice(4, "Tapes that the store is asked to read from at once.")
    mount_bytes: Positive = choice(2 * TERA, "A tape is asked for once so much waits for it,")
    mount_count: Positive = choice(1000, "or so many archives,")
    mount_age: SecondsOrNone = choice(HOUR, "or one of them has waited so long. 0 collects nothing.")
    collect_time: SecondsOrNone = choice(60.0, "As `mount_age`, for archives of which no tape is known.")
    longest_wait: SecondsOrNone = choice(
        24 * HOUR, "What has waited longer goes before all else, whatever the priorities and shares."
    )
    linger: SecondsOrNone = choice(
        120.0, "How long the store leaves a tape in its drive when nothing is asked from it."
    )
    stall_time: SecondsOrNone = choice(
        4 * HOUR,
        "After which a tape that gave nothing does not count for `drives` any more: it may be broken.",
    )
    longest_session: SecondsOrNone = choice(6 * HOUR, "After which a tape that is read makes way for others.")
    bytes_in_flight: Positive = choice(10 * TERA, "Most that is asked for, or online and not copied yet.")
    requests_in_flight: Positive = choice(10_000, "The same in archives.")
    requests_per_second: Annotated[float, Gt(0)] | None = choice(
        None, "Most archives asked for per second, on average."
    )
    weights: dict[str, Annotated[float, Gt(0)]] = choice(
        {}, "Shares of owner groups of the drives; 1 for those that are not named."
    )

    def __post_init__(self) -> None:
        """Refuse what no store can be used by.

        Raises:
            ValueError: A limit is not above 0 (or below 0 where 0 has a meaning), or `longest_wait` is below
                `mount_age` or `collect_time`.
        """
        _require_above_0(
            self, "drives", "mount_bytes", "mount_count", "longest_wait", "longest_session", "stall_time", "bytes_in_flight",
            "requests_in_flight",
        )  # fmt: skip
        _require_from_0(self, "mount_age", "linger", "collect_time")
        if self.requests_per_second is not None and not self.requests_per_second > 0:
            raise ValueError("requests_per_second must be above 0")
        if any(not weight > 0 for weight in self.weights.values()):
            raise ValueError("each weight must be above 0")
        if self.longest_wait < max(self.mount_age, self.collect_time):
            raise ValueError("longest_wait must not be below mount_age or collect_time")


@dataclass(frozen=True)
class RecallPolicy(RecallChoices):
    """What the planner goes by: the operator's choices, and what is assumed until it is observed.

    Attributes:
        collect: False for a store without tapes: nothing is collected, drives do not count, each archive goes
            by itself.
        burst: The most archives that are asked for at once where `requests_per_second` is set.
        usage_half_life: Seconds after which a group's drive time counts half.
        mount_seconds: Seconds that a mount is assumed to take until the first are observed.
        bytes_per_second: Bytes per second that a drive is assumed to read until the first reads are observed.
    """

    collect: bool = True
    burst: int = 100
    usage_half_life: float = 24 * HOUR
    mount_seconds: float = 120.0
    bytes_per_second: float = 300e6

    def __post_init__(self) -> None:
        """Refuse what no store can be used by.

        Raises:
            ValueError: As for the choices, or one of these is not above 0.
        """
        super().__post_init__()
        _require_above_0(self, "burst", "usage_half_life", "bytes_per_second")
        _require_from_0(self, "mount_seconds")

    @classmethod
    def of(cls, choices: RecallChoices, *, has_tapes: bool) -> RecallPolicy:
        """Take over an operator's choices for a store that has tapes, or not."""
        chosen = {each.name: getattr(choices, each.name) for each in fields(RecallChoices)}
        return cls(**{**chosen, "collect": has_tapes if choices.collect is None else choices.collect})


def _require_above_0(policy: RecallChoices, *names: str) -> None:
    for name in names:
        if not getattr(policy, name) > 0:
            raise ValueError(f"{name} must be above 0")


def _require_from_0(policy: RecallChoices, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(policy, name) < math.inf:
            raise ValueError(f"{name} must not be below 0")

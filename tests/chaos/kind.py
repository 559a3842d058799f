"""What a kind of fault is, and what one fault came to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.truth import Job
from tests.chaos.world import World


@dataclass(frozen=True)
class Hit:
    """What one fault did.

    Attributes:
        job: The job that it was aimed at.
        resumed: Seconds from the restart of what was killed to the next progress, where that was measured.
        missed: Whether the step that it was to hit did not come.
    """

    job: Job | None = None
    resumed: float | None = None
    missed: bool = False


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        name: What it is called in the table.
        inject: Makes it happen once.
        rereads: Whether archives that are being worked on may have to be read again.
        impossible: Says why it cannot be made here; empty where it can.
    """

    name: str
    inject: Callable[[World], Hit]
    rereads: bool = False
    impossible: Callable[[World], str] = lambda _: ""

"""Pins: somebody's wish that a dataset stays in staging, until a time or as long as a job runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid, JobId


@dataclass(frozen=True, slots=True)
class Pin:
    """Somebody's wish that a dataset stays staged.

    Attributes:
        pid: The dataset.
        owner: The id of the job that asked for it, or whom an operator named.
        by_job: Whether `owner` is a job.
        group: The owner group whose quota it counts in, where there is one.
        until: When it ends (UTC); None: not before its job ends.
        created_at: Since when it is there (UTC).
    """

    pid: DatasetPid
    owner: str
    by_job: bool
    group: str | None
    until: datetime | None
    created_at: datetime


class Pins(Protocol):
    """The pins on datasets. Promises and errors as of `ports.ledger.Ledger`."""

    def pin(self, pid: DatasetPid, owner: str, until: datetime) -> int:
        """Pin a dataset for somebody who is no job; one who has pinned it already keeps the later time.

        Returns:
            How many of its listed datablocks are staged; 0, and nothing is pinned, where none is.
        """
        ...

    def keep_for_job(self, job_id: JobId, until: datetime) -> Mapping[DatasetPid, datetime]:
        """Give the pins of a job an end, `until` at the earliest; unpin what was not retrieved for it.

        A pin that had no end gets this one. A pin with a later end keeps it. Pins that have ended are not
        made again.

        Returns:
            Until when each dataset is pinned now, for this job.
        """
        ...

    def unpin(self, owner: str, pid: DatasetPid | None = None) -> Sequence[DatasetPid]:
        """End an owner's pins, or the one on a dataset. Gives the datasets that they were on.

        A job that has not ended keeps its pins.
        """
        ...

    def lapse(self, now: datetime, limit: int) -> int:
        """End pins whose time is over. Gives their number.

        Pins of a job stay while the job has not ended, and while SciCat is not told of its end: nobody has
        had the links yet. Parked reports do not count. A pin without an end is over when its job has ended
        and SciCat is told. The pins of a retried job that does not have its space yet end by their time: else
        the job could wait for space that it holds itself.
        """
        ...

    def find(
        self,
        pid: DatasetPid | None = None,
        owner: str | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> Sequence[tuple[int, Pin]]:
        """Pins, with their numbers, above number `after`, in the order in which they were made."""
        ...

    def bytes_by_group(self) -> Mapping[str, int]:
        """Bytes of the datasets that jobs of each owner group pin, each dataset once.

        A dataset counts with its size (see `claims.job_size`) when it was pinned, or when its claim was last
        made exact.
        """
        ...

    def is_promised(self, key: DatablockKey) -> bool:
        """Say whether a datablock is pinned by somebody who was told that it is there.

        That is a job for which the dataset was retrieved, that needs this datablock and pins the dataset; or
        a pin of somebody who is no job.
        """
        ...

    def jobs_to_mend(self, limit: int) -> Sequence[JobId]:
        """Jobs that have ended and have links to files that are gone, the oldest first.

        Such a job pins a dataset that was retrieved for it; a datablock that the job needs is not staged; and
        the dataset has no claim, so no run is bringing the datablock back.
        """
        ...

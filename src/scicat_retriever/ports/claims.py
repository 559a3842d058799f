"""Claims: staging space for datasets on their way, made for all datasets of a job at once, or for none.

Jobs that do not get it wait in a line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.ports.staging_area import Room


@dataclass(frozen=True, slots=True)
class PlaceInLine:
    """The place of a job in the line for staging space, as of its last wish.

    Attributes:
        missing: Bytes that would have to become free for the job, whoever is before it; 0 where it has its
            space.
        place: 1 for the job that is next; 0 where it has its space.
        needed: Bytes that the job needs beside what is staged or claimed already.
    """

    missing: int
    place: int
    needed: int

    @property
    def granted(self) -> bool:
        """Whether the job has its space."""
        return self.place == 0


@dataclass(frozen=True, slots=True)
class Growth:
    """What became of a dataset's wish for more space than was claimed for it.

    Attributes:
        missing: Bytes that would have to become free for it; 0 where it has all that it needs.
        gives_back: Whether it must not wait for them: the jobs that ask for it have to give back what they
            hold.
    """

    missing: int
    gives_back: bool = False


class Claims(Protocol):
    """Claims of staging space, and the line of jobs. Promises and errors as of `ports.ledger.Ledger`.

    Free are the bytes `min(room.total - staged - claimed, room.free - unwritten)`, the second only where
    `room.free` is known; see `Usage` for the terms. `unwritten` is `claimed - written`, or `room.unwritten`
    where that is more: what was written after the room was measured is not free in it any more.
    """

    def datasets_without_size(self, job_id: JobId, limit: int) -> Sequence[DatasetPid]:
        """Datasets of a job whose size was not noted yet, in the order asked for."""
        ...

    def note_sizes(self, job_id: JobId, sizes: Mapping[DatasetPid, int]) -> None:
        """Note how many bytes datasets of a job take, as the catalogue declares it."""
        ...

    def job_size(self, job_id: JobId) -> int:
        """Bytes of all that a job needs: of each dataset the noted or the planned size, whichever is more."""
        ...

    def for_job(
        self, job_id: JobId, room: Room, *, silence: timedelta, quota: int | None = None
    ) -> PlaceInLine:
        """Claim the space of all datasets of a job that have not ended for it, and pin them, or do neither.

        `needed` is the sum over these datasets: the dataset's size (see `job_size`), less its bytes that are
        staged, less its claim; a claim that is too small grows in this transaction. Where the job chose files
        that no other job brings, claims for other jobs are not subtracted.

        A job that has its space keeps it, whatever the room: claims and pins that are missing are made again.
        Any other job is in the line, in the order in which jobs first asked in vain. It is granted its space
        if `needed == 0`, or if `free >= needed` and for every job J before it in the line
        `J.overtaken + needed <= room.total - J.needed`; `J.overtaken` are the bytes that went ahead of J so
        far. So nobody is overtaken for ever. A job that has not asked for longer than `silence` keeps its
        place and is left out of this comparison. Claims that wait to grow (`for_dataset`) count as jobs
        before the whole line, with what they need and what their jobs hold as `J.needed`.

        A job that has ended gets nothing, and its place is `PlaceInLine(0, 0, 0)`. A retried job
        (`jobs.retry`) has to claim anew, at the end of the line, and one that gave its space back
        (`give_back`), at its place; a restarted one (`job_flows.restart`) keeps its space. A dataset that
        is retrieved for the job already is pinned again if all its datablocks are staged.

        Args:
            job_id: The job.
            room: What the staging area offers.
            silence: The time after which a job in the line that does not ask is passed over.
            quota: Bytes that the datasets pinned by jobs of its owner group may have in all; None for any
                number. The datasets of this job count whether they are staged or not. A dataset that several
                jobs pin counts once.

        Raises:
            JobNotFound: The job is not known.
            QuotaExceeded: The job's datasets and those that its group has pinned are more than the quota;
                nothing is claimed.
        """
        ...

    def for_dataset(self, pid: DatasetPid, room: Room, *, silence: timedelta) -> Growth:
        """Make the claim of a planned dataset exact: the bytes of its wanted datablocks that are not staged.

        Sizes are those that the datablocks have now. Wanted are the datablocks that the dataset's run brings,
        and those that jobs need which asked for the dataset since. A claim that shrinks or stays needs no
        room. A claim that grows needs the difference to be free. If it is not free, the claim waits: before
        all jobs in the line, while the jobs of the dataset hold what they have. Among waiting claims, the
        order is that in which their jobs came.

        A claim does not wait if that could last for ever; then all jobs that ask for the dataset have to give
        their space back (`give_back`). That is so where staging is too small for what these jobs hold
        and the missing bytes together; or where another claim is the first among those that wait, and what
        the jobs of all waiting claims hold leaves it too little.

        Args:
            pid: The dataset.
            room: What the staging area offers.
            silence: After which time a claim that waits and is not asked for again is passed over.

        Returns:
            What became of it; where it did not get its space, the claim stays as large as it was.
        """
        ...

    def give_back(self, job_id: JobId, pid: DatasetPid, *, if_waiting: bool = False) -> bool:
        """Have a job give back its space, since a dataset grew too large, and wait in the line again.

        The job's pins end. The dataset `pid`, if it was started, and datasets that were retrieved for the job
        are submitted again: they may be evicted while the job waits. Other started datasets go on with the
        space that they have. The job's place in the line is that of the moment when it got its space. A job
        that has ended stays as it is. Claims that are left without a job are ended by `end_idle`.

        Args:
            job_id: The job.
            pid: The dataset.
            if_waiting: Whether a job that has its space keeps it: it may have got it just now, and would not
                ask again.

        Returns:
            Whether it was done; False where the job has its space and keeps it.
        """
        ...

    def is_in_line(self, job_id: JobId) -> bool:
        """Say whether a job is in the line: it asked in vain or gave its space back, and has not ended."""
        ...

    def end(self, pid: DatasetPid) -> None:
        """End the claim of a dataset that no job asks for; shrink one that is larger than needed.

        A job asks for a dataset if the job has not ended, and the dataset was started for it or is submitted
        and the job has its space. While a datablock of the dataset is copied or being copied, the claim
        stays. A claim never grows here.
        """
        ...

    def end_idle(self) -> int:
        """Give back the claims of datasets that nobody asks for (see `end`). Gives their number.

        Claims of datasets of which a datablock is copied or being copied stay.
        """
        ...

    def waiting_jobs(self) -> Sequence[tuple[JobId, int]]:
        """Jobs in the line, in their order, and the bytes that each needed when it last asked."""
        ...

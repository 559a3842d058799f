"""Staging space, as the ledger shares it out: what is claimed, what is there, who pins it, what may go.

claim    space that a dataset on its way will take; made for all datasets of a job at once, or for none
pin      somebody's wish that a dataset stays in staging, until a time or as long as a job runs
staged   a datablock that nobody pins is a cached one: it stays until its space is needed
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.staging_area import Room


class EvictionOrder(StrEnum):
    """Which of the datablocks that nobody pins go first."""

    LEAST_RECENTLY_USED = "least_recently_used"
    LARGEST = "largest"


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


@dataclass(frozen=True, slots=True)
class Usage:
    """Sums over the staging area, as the ledger knows it. All but the counts are bytes.

    Attributes:
        staged: Held by staged datablocks, and by released ones whose files are not known to be gone.
        claimed: Set aside for datasets on their way.
        written: How much of `claimed` is written already; what a dataset wrote beyond its claim is not
            counted.
        pinned: Of `staged`, what is pinned.
        cached: Of `staged`, what datablocks hold that nobody pins; files of released ones are neither.
        datablocks: How many are staged.
        waiting_jobs: How many jobs wait for space.
        waiting: What they need in all.
    """

    staged: int
    claimed: int
    written: int
    pinned: int
    cached: int
    datablocks: int
    waiting_jobs: int
    waiting: int


class SpaceLedger(Protocol):
    """The part of the ledger that shares staging space out. Promises and errors as of `ports.ledger.Ledger`.

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

    def claim_job(
        self, job_id: JobId, room: Room, *, silence: timedelta, quota: int | None = None
    ) -> PlaceInLine:
        """Claim the space of all datasets of a job that have not ended for it, and pin them, or do neither.

        `needed` is the sum over these datasets: the size of each (see `job_size`), less what of it is staged,
        less what is claimed for it already; such a claim grows in this transaction. Where the job chose files
        that no other job brings, claims for other jobs are not subtracted.

        A job that has its space keeps it, whatever the room: claims and pins that are missing are made again.
        Any other job is in the line, in the order in which jobs first asked in vain. It is granted its space
        if `needed == 0`, or if `free >= needed` and for every job J before it in the line
        `J.overtaken + needed <= room.total - J.needed`; `J.overtaken` are the bytes that went ahead of J so
        far. So nobody is overtaken for ever. A job that has not asked for longer than `silence` keeps its
        place and is left out of this comparison. Claims that wait to grow (`claim_dataset`) count as jobs
        before the whole line, with what they need and what their jobs hold as `J.needed`.

        A job that has ended gets nothing, and its place is `PlaceInLine(0, 0, 0)`. A retried job
        (`retry_job`) has to claim anew, at the end of the line, and one that gave its space back
        (`give_space_back`), at its place; a restarted one (`restart_job`) keeps its space. What is retrieved
        for the job already is pinned again if all of it is staged.

        Args:
            job_id: The job.
            room: What the staging area offers.
            silence: After which time a job in line that does not ask is passed over.
            quota: Bytes that the datasets pinned by jobs of its owner group may have in all; None for any
                number. The datasets of this job count whether they are staged or not, those that several jobs
                pin once.

        Raises:
            JobNotFound: The job is not known.
            QuotaExceeded: Its datasets, and those that its group has pinned, are more than that; nothing is
                claimed.
        """
        ...

    def claim_dataset(self, pid: DatasetPid, room: Room, *, silence: timedelta) -> Growth:
        """Make the claim of a planned dataset exact: the bytes of its wanted datablocks that are not staged.

        Sizes are those that the datablocks have now. Wanted are the datablocks that the dataset's run brings,
        and those that jobs need which asked for the dataset since. A claim that shrinks or stays needs no
        room. A claim that grows needs the difference to be free. If it is not free, the claim waits: before
        all jobs in the line, while the jobs of the dataset hold what they have. Among waiting claims, the
        order is that in which their jobs came.

        A claim does not wait if that could last for ever; then all jobs that ask for the dataset have to give
        their space back (`give_space_back`). That is so where staging is too small for what these jobs hold
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

    def give_space_back(self, job_id: JobId, pid: DatasetPid, *, if_waiting: bool = False) -> bool:
        """Have a job give back its space, since a dataset grew too large, and wait in the line again.

        The job's pins end. The dataset `pid`, if it was started, and datasets that were retrieved for the job
        are submitted again: they may be evicted while the job waits. Other started datasets go on with the
        space that they have. The job's place in the line is that of the moment when it got its space. A job
        that has ended stays as it is. Claims that are left without a job are ended by `end_idle_claims`.

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

    def end_claim(self, pid: DatasetPid) -> None:
        """End the claim of a dataset that no job asks for; shrink one that is larger than needed.

        A job asks for a dataset if the job has not ended, and the dataset was started for it or is submitted
        and the job has its space. While a datablock of the dataset is copied or being copied, the claim
        stays. A claim never grows here.
        """
        ...

    def end_idle_claims(self) -> int:
        """Give back the claims of datasets that nobody asks for (see `end_claim`). Gives their number.

        Claims of datasets of which a datablock is copied or being copied stay.
        """
        ...

    def waiting_jobs(self) -> Sequence[tuple[JobId, int]]:
        """Jobs in the line, in their order, and the bytes that each needed when it last asked."""
        ...

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

    def lapse_pins(self, now: datetime, limit: int) -> int:
        """End pins whose time is over. Gives their number.

        Pins of a job stay while the job has not ended, and while SciCat is not told of its end: nobody has
        had the links yet. Parked reports do not count. A pin without an end is over when its job has ended
        and SciCat is told. The pins of a retried job that does not have its space yet end by their time: else
        the job could wait for space that it holds itself.
        """
        ...

    def pins(
        self,
        pid: DatasetPid | None = None,
        owner: str | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> Sequence[tuple[int, Pin]]:
        """Pins, with their numbers, above number `after`, in the order in which they were made."""
        ...

    def note_used(self, pid: DatasetPid, datablock: DatablockKey | None = None) -> None:
        """Note that a dataset's staged datablocks, or one of them, are used now."""
        ...

    def cached(self, order: EvictionOrder, unused_since: datetime, limit: int) -> Sequence[DatablockRecord]:
        """Cached datablocks that were last used at `unused_since` (UTC) or before, in order of eviction.

        Of the same size, the least recently used goes first.
        """
        ...

    def cached_bytes(self, unused_since: datetime) -> int:
        """Bytes of all that `cached` would give."""
        ...

    def evict(
        self, key: DatablockKey, unused_since: datetime, reason: str, tell: LifecycleUpdate | None = None
    ) -> bool:
        """Make a datablock released if it is still one that `cached` would give; say whether it was.

        Where all of its dataset was staged until now, SciCat is to be told `tell`, if that is given, of the
        dataset.
        """
        ...

    def withdraw(self, key: DatablockKey, reason: str) -> None:
        """Release a staged datablock although it may be pinned, since its bytes are wrong or gone."""
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

    def left_behind(self, limit: int, after: DatablockKey | None = None) -> Sequence[DatablockKey]:
        """Released datablocks whose files may still be in the staging area, by their names."""
        ...

    def forget_files(self, key: DatablockKey) -> None:
        """Note that the files of a released datablock are gone.

        A datablock in any other state stays as it is.
        """
        ...

    def staged_after(self, after: DatablockKey | None, limit: int) -> Sequence[DatablockRecord]:
        """Staged datablocks by their names, from the one that follows `after`."""
        ...

    def known_tokens(self, tokens: Collection[str]) -> Collection[str]:
        """Give those tokens of files that belong to a datablock."""
        ...

    def being_copied(self) -> Sequence[DatablockKey]:
        """Datablocks whose files are being written, so that their tokens are not known yet."""
        ...

    def next_to_check(self, before: datetime, but: Collection[DatablockKey] = ()) -> DatablockRecord | None:
        """The staged datablock that was checked longest ago, if that was before `before` (UTC).

        Datablocks in `but` are left out.
        """
        ...

    def note_checked(self, key: DatablockKey) -> None:
        """Note that the bytes of a staged datablock were read now, and are right."""
        ...

    def unwritten(self) -> int:
        """Bytes of claims that are still to be written: what is claimed less what of it is written."""
        ...

    def usage(self) -> Usage:
        """Sums over the staging area."""
        ...

    def pinned_by_group(self) -> Mapping[str, int]:
        """Bytes of the datasets that jobs of each owner group pin, each dataset once.

        A dataset counts with its size (see `job_size`) when it was pinned, or when its claim was last made
        exact.
        """
        ...

    def recount(self) -> int:
        """Correct the sums of what is staged and claimed; give by how many bytes they were wrong."""
        ...

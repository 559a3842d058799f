"""What the ledger keeps of jobs that choose files: which datablocks hold them, and what a dataset's run retrieves for that.

A job needs of a dataset all listed datablocks or, where it chose files of it, those that were noted to hold them. Several jobs
share one run of a dataset: it retrieves what one of them needs, which is what `DatablockRecord.wanted` says.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from scicat_retriever.domain.errors import Failure
from scicat_retriever.domain.ids import DatablockId, DatasetPid, JobId
from scicat_retriever.ports.datablock_record import DatablockRecord


class ChosenFilesLedger(Protocol):
    """The part of the ledger for jobs that choose files. Promises and errors as of `ports.ledger.Ledger`."""

    def note_choice(
        self,
        job_id: JobId,
        pid: DatasetPid,
        datablocks: Collection[DatablockId],
        size: int,
        unknown: Failure | None,
    ) -> None:
        """Note which datablocks hold the files that a job chose of a dataset, in place of what was noted before.

        Where none does and `unknown` is given, the dataset fails for the job by it, unless it has ended for it already.

        Args:
            job_id: The job.
            pid: One of its datasets that it chose files of.
            datablocks: Those that hold at least one of the files.
            size: Bytes that they take, as the catalogue declares it; see `SpaceLedger.note_sizes`.
            unknown: Says which files the dataset does not have, where that is so.

        Raises:
            TransitionIllegal: The job did not choose files of that dataset.
        """
        ...

    def job_datablocks(self, job_id: JobId, pid: DatasetPid) -> Sequence[DatablockRecord]:
        """The datablocks that a job needs of a dataset, as last planned, in their order."""
        ...

    def is_brought(self, job_id: JobId, pid: DatasetPid) -> bool:
        """Say whether there are datablocks that a job needs of a dataset, all of them are staged, and none was unlisted."""
        ...

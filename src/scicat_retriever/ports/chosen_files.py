"""What the ledger keeps of jobs that choose files: which datablocks hold them, and what a dataset's run retrieves for that.

A job needs of a dataset all listed datablocks or, where it chose files of it, those that were noted to hold them. Several jobs
share one run of a dataset: it retrieves what one of them needs, which is what `DatablockRecord.wanted` says.

In place of a datablock, a job may need an extract of it (`domain.dataset.Extract`): that is a datablock to all that recall,
copy, verify, stage and evict, and none to those who ask whether all is there that SciCat lists.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from scicat_retriever.domain.dataset import CataloguedDatablock
from scicat_retriever.domain.errors import Failure
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid, JobId
from scicat_retriever.onepass.manifest import SealedManifest
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
        extracts: Sequence[CataloguedDatablock] = (),
        respelled: Mapping[DatablockId, Mapping[str, str]] = MappingProxyType({}),
    ) -> None:
        """Note which datablocks, or extracts of them, hold the files that a job chose of a dataset, in place of what was noted before.

        Where none does and `unknown` is given, the dataset fails for the job by it, unless it has ended for it already.

        Args:
            job_id: The job.
            pid: One of its datasets that it chose files of.
            datablocks: Those that hold at least one of the files, extracts included.
            size: Bytes that they take, as the catalogue declares it; see `SpaceLedger.note_sizes`.
            unknown: Says which files the dataset does not have, where that is so.
            extracts: Those that the ledger may not know yet, each with the files that it holds. A run retrieves such a one
                once it was planned for it.
            respelled: Of datablocks that hold files whose names are spelled otherwise in the job: each chosen name, and the
                catalogued path of the file.

        Raises:
            TransitionIllegal: The job did not choose files of that dataset.
        """
        ...

    def known_manifest(self, key: DatablockKey) -> SealedManifest | None:
        """The manifest, and its seal, of the last copy of a datablock, verified or not and staged still or not.

        It is of an archive of the catalogue entry that was planned last; None where none such was copied.
        """
        ...

    def read_whole(self, key: DatablockKey, reason: str) -> None:
        """Have all of the archive be read in place of an extract of it, which was not right: planned again, for the same run.

        It has the sizes and the file list of the whole datablock then. The manifest by which the pieces were chosen is
        forgotten, unless there is a copy that it belongs to. Of one that is whole already, nothing changes.

        Raises:
            TransitionIllegal: It is not known, no extract, staged, or released.
        """
        ...

    def respelled(self, job_id: JobId, pid: DatasetPid) -> Mapping[str, str]:
        """The chosen names that are spelled otherwise in the catalogue, as last noted, each with its catalogued path."""
        ...

    def job_datablocks(self, job_id: JobId, pid: DatasetPid) -> Sequence[DatablockRecord]:
        """The datablocks that a job needs of a dataset, as last planned, in their order."""
        ...

    def is_brought(self, job_id: JobId, pid: DatasetPid) -> bool:
        """Say whether there are datablocks that a job needs of a dataset, all of them are staged, and none was unlisted."""
        ...

"""What the ledger keeps of chosen files: which datablocks hold them, and which are wanted for that.

A job needs of a dataset all listed datablocks or, where it chose files of it, those that were noted to hold
them. Several jobs share one run of a dataset: it retrieves what one of them needs, which is what
`DatablockRecord.wanted` says.

In place of a datablock, a job may need an extract of it (`domain.dataset.Extract`): that is a datablock to
all that recall, copy, verify, stage and evict, and none to those who ask whether all is there that SciCat
lists.
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
        """Note the datablocks, or extracts of them, that hold the files which a job chose of a dataset.

        They replace those that were noted before. If there are none and `unknown` is given, the dataset fails
        for the job by that error, unless it has ended for the job already.

        Args:
            job_id: The job.
            pid: One of its datasets that it chose files of.
            datablocks: Those that hold at least one of the files, extracts included.
            size: Bytes that they take, as the catalogue declares it; see `SpaceLedger.note_sizes`.
            unknown: Says which files the dataset does not have, where that is so.
            extracts: Those that the ledger may not know yet, each with the files that it holds. A run
                retrieves such a one once it was planned for it.
            respelled: Of datablocks that hold files whose names are spelled otherwise in the job: each chosen
                name, and the catalogued path of the file.

        Raises:
            TransitionIllegal: The job did not choose files of that dataset.
        """
        ...

    def known_manifest(self, key: DatablockKey) -> SealedManifest | None:
        """The manifest of a datablock's last copy, with its seal; the copy may be unverified, or gone by now.

        None where no archive was copied for the catalogue entry that was planned last.
        """
        ...

    def read_whole(self, key: DatablockKey, reason: str) -> None:
        """Have a wrong extract be read as its whole archive: it is planned again, for the same run.

        The extract gets the sizes and the file list of the whole datablock. The manifest by which its ranges
        were chosen is forgotten, unless it belongs to a copy that is there. An extract that is read whole
        already stays as it is.

        Raises:
            TransitionIllegal: The datablock is not known, no extract, staged, or released.
        """
        ...

    def respelled(self, job_id: JobId, pid: DatasetPid) -> Mapping[str, str]:
        """The chosen names that the catalogue spells otherwise, as last noted, with catalogued paths."""
        ...

    def job_datablocks(self, job_id: JobId, pid: DatasetPid) -> Sequence[DatablockRecord]:
        """The datablocks that a job needs of a dataset, as last planned, in their order."""
        ...

    def is_brought(self, job_id: JobId, pid: DatasetPid) -> bool:
        """Say whether a dataset is brought for a job.

        That is so if the job needs at least one datablock of it, all that it needs are staged, and SciCat
        still lists each of them.
        """
        ...

"""What a job needs of its datasets: all that SciCat lists or what holds its chosen files, and what is there.

A job needs of a dataset all listed datablocks or, where it chose files of it, those that were noted to hold
them. Several jobs share one run of a dataset: it retrieves what one of them needs, which is what
`DatablockRecord.wanted` says.

In place of a datablock, a job may need an extract of it: see `ports.datablocks`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from scicat_retriever.domain.dataset import CataloguedDatablock
from scicat_retriever.domain.errors import Failure
from scicat_retriever.domain.evidence import Integrity
from scicat_retriever.domain.ids import DatablockId, DatasetPid, JobId
from scicat_retriever.ports.datablock_record import DatablockRecord


@dataclass(frozen=True, slots=True)
class DatasetProgress:
    """Sums over the datablocks that a job needs of a dataset: counts (`datablocks`, `staged`), and bytes."""

    pid: DatasetPid
    datablocks: int
    staged: int
    bytes_done: int
    bytes_total: int


@dataclass(frozen=True, slots=True)
class DatasetWait:
    """What a dataset waits for: the reason of its first recalled datablock, and how many are recalled."""

    reason: str
    datablocks: int


class Needs(Protocol):
    """What jobs need of their datasets. Promises and errors as of `ports.ledger.Ledger`."""

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
            size: Bytes that they take, as the catalogue declares it; see `claims.note_sizes`.
            unknown: Says which files the dataset does not have, where that is so.
            extracts: Those that the ledger may not know yet, each with the files that it holds. A run
                retrieves such a one once it was planned for it.
            respelled: Of datablocks that hold files whose names are spelled otherwise in the job: each chosen
                name, and the catalogued path of the file.

        Raises:
            TransitionIllegal: The job did not choose files of that dataset.
        """
        ...

    def respelled(self, job_id: JobId, pid: DatasetPid) -> Mapping[str, str]:
        """The chosen names that the catalogue spells otherwise, as last noted, with catalogued paths."""
        ...

    def datablocks(self, job_id: JobId, pid: DatasetPid) -> Sequence[DatablockRecord]:
        """The datablocks that a job needs of a dataset, as last planned, in their order."""
        ...

    def hashed(self, job_id: JobId) -> Mapping[DatasetPid, Collection[tuple[Integrity | None, str]]]:
        """How the staged datablocks that a job needs were compared, and what their files were hashed with.

        The latter as `onepass.digests.Hashing` is written, by the manifests' own word, which is not proved
        here; each pair once for a dataset. Datasets without a staged datablock are left out.
        """
        ...

    def is_brought(self, job_id: JobId, pid: DatasetPid) -> bool:
        """Say whether a dataset is brought for a job.

        That is so if the job needs at least one datablock of it, all that it needs are staged, and SciCat
        still lists each of them.
        """
        ...

    def progress(self, job_id: JobId) -> Sequence[DatasetProgress]:
        """Sums over the datablocks that a job needs, for each planned dataset, in the order asked for."""
        ...

    def waits(self, job_id: JobId) -> Mapping[DatasetPid, DatasetWait]:
        """What each started dataset of a job waits for whose datablocks are recalled or wait for space."""
        ...

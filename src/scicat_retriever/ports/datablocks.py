"""Datablocks as the ledger holds them: what is planned for each dataset, and how far each of it is.

An extract (`domain.dataset.Extract`) of a datablock is a datablock to all that recall, copy, verify, stage
and evict, and none to
those who ask whether all is there that SciCat lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from scicat_retriever.domain.dataset import CataloguedDatablock, FileEntry
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ports.datablock_record import DatablockRecord


@dataclass(frozen=True, slots=True)
class Plan:
    """What was planned for a dataset.

    Attributes:
        datablocks: How many datablocks SciCat lists.
        files: How many files they have.
        packed_size: Bytes that they take in the store.
        extracts: How many extracts are planned beside them; their positions follow on the datablocks'.
    """

    datablocks: int
    files: int
    packed_size: int
    extracts: int = 0


class Datablocks(Protocol):
    """The datablocks of datasets. Promises and errors as of `ports.ledger.Ledger`."""

    def plan(
        self, pid: DatasetPid, datablocks: Iterable[CataloguedDatablock], run: str, store: str = "lts"
    ) -> Plan:
        """Take down a dataset's datablocks and their file lists, streaming, in one transaction.

        `datablocks` is read to its end before the transaction begins; an error that it raises changes
        nothing. A staged datablock whose catalogue entry (archiveId, sizes, algorithm, files) has not changed
        stays staged, under its old run. An unchanged datablock of the same run keeps its state and its store,
        so that a repeated step changes nothing. Every other datablock becomes planned, with 0 bytes done, for
        `run`, to be read from `store`. A datablock that the catalogue no longer lists is no longer the
        dataset's: `of` does not give it, and sums leave it out. It becomes released, unless it is
        staged: then it stays until it is swept.

        An extract stays the dataset's as long as the entry of its datablock is unchanged, and it is staged or
        was chosen by a job that has not ended. Then the rules above apply to it, too.

        Wanted are the datablocks that the jobs need which ask for the dataset (see `ports.needs`); all
        datablocks, where no job asks.

        Raises:
            CatalogueEntryInvalid: A datablock is of another dataset, listed twice, or has an impossible size.
        """
        ...

    def of(self, pid: DatasetPid, after: int = 0, limit: int | None = None) -> Sequence[DatablockRecord]:
        """A dataset's datablocks as last planned, from position `after`, then its extracts."""
        ...

    def get(self, key: DatablockKey) -> DatablockRecord | None:
        """One datablock."""
        ...

    def files(self, key: DatablockKey) -> Iterator[FileEntry]:
        """The catalogued files of a datablock, in the catalogue's order, without holding them all."""
        ...

    def move(self, key: DatablockKey, state: DatablockState, reason: str = "") -> None:
        """Note a datablock's state and what it waits for.

        It becomes copied by `copies.save` and staged by `copies.save_staged` alone: those bring the evidence.
        When it goes to a state before copied, its bytes count from 0 again.
        """
        ...

    def note_progress(self, key: DatablockKey, bytes_done: int, bytes_total: int | None = None) -> None:
        """Note bytes copied so far (and the store's word on the whole); no transition.

        A note that comes late, when the datablock is copied or has ended, is dropped.
        """
        ...

    def read_from(self, key: DatablockKey, store: str, reason: str) -> None:
        """Have a datablock be read from another store: it is planned again, for the same run.

        What was copied of it before counts no more.

        A datablock that is read from that store already stays as it is: a repeated step must not undo what
        was begun.

        Raises:
            TransitionIllegal: The datablock is not known, staged, or released.
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

    def abandoned(self, limit: int) -> Sequence[tuple[DatasetPid, str]]:
        """Datasets that no job asks for, with datablocks on their way, and the runs that left them.

        At most `limit` of them, in order. If a dataset's flow runs, it is about to clean up; if not, it was
        lost.
        """
        ...

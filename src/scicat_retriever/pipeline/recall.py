"""Recall: the archive back from tape, asked for again until it is there. Its room in staging is claimed before."""

from __future__ import annotations

from scicat_retriever.domain.errors import (
    ArchiveIncomplete,
    DatablockMissing,
    NoSpaceYet,
    NotYetOnline,
)
from scicat_retriever.domain.evidence import Recalled
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.pipeline.space import claim_dataset
from scicat_retriever.pipeline.toolbox import Toolbox
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.long_term_store import Locality


def recall(record: DatablockRecord, tools: Toolbox) -> Recalled:
    """Ask for the archive, and say that it can be read.

    Raises:
        NotYetOnline: The recall goes on.
        DatablockMissing: The store has no such archive (yet).
        ArchiveIncomplete: It is not (yet) as long as catalogued.
        NoSpaceYet: It is longer than catalogued, and there is no room for it now.
        LargerThanStaging: It is longer than catalogued, and there never will be.
    """
    archive_id = record.datablock.archive_id
    state = tools.store.recall_state(archive_id)
    match state.locality:
        case Locality.ONLINE:
            size = record.bytes_total if state.size is None else state.size
            _refuse_other_size(record, size, tools)
            _note_recalling(record, "", tools)
            # Compared with the catalogue's word, not with what was noted: a claim that failed is asked for again.
            if size != record.datablock.packed_size:
                _claim_more(record, size, tools)
            return Recalled(record.key, archive_id, size)
        case Locality.MISSING:
            reason = f"the long-term store has no {archive_id}"
            _note_recalling(record, reason, tools)
            raise DatablockMissing(reason)
        case Locality.OFFLINE | Locality.RECALLING:
            tools.store.request_recall(archive_id)
            reason = state.reason or f"waiting for {archive_id} to come back from tape"
            _note_recalling(record, reason, tools)
            raise NotYetOnline(reason)


def _claim_more(record: DatablockRecord, size: int, tools: Toolbox) -> None:
    """Have room for as much as the store holds, where that is not what was catalogued."""
    tools.ledger.note_progress(record.key, 0, size)
    try:
        claim_dataset(record.key.pid, tools)
    except NoSpaceYet as error:
        tools.ledger.move_datablock(record.key, DatablockState.WAITING_FOR_SPACE, str(error))
        raise


def _note_recalling(record: DatablockRecord, reason: str, tools: Toolbox) -> None:
    """Note it where that is news: each note is a write to disk, and a recall is asked about many times."""
    if record.state is not DatablockState.RECALLING or record.reason != reason:
        tools.ledger.move_datablock(record.key, DatablockState.RECALLING, reason)


def _refuse_other_size(record: DatablockRecord, size: int, tools: Toolbox) -> None:
    catalogued = record.datablock.packed_size
    if tools.check_packed_size and catalogued > 0 and size != catalogued:
        reason = f"{record.datablock.archive_id} has {size} bytes in the long-term store, {catalogued} in the catalogue"
        _note_recalling(record, reason, tools)
        raise ArchiveIncomplete(reason)

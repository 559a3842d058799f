"""Recall: which archives can be read now, and which have to be asked for. Their room in staging is claimed before."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from scicat_retriever.domain.errors import (
    ArchiveIncomplete,
    ArchiveLost,
    DatablockMissing,
    DatablockUnreadable,
    NoSpaceYet,
    NotYetOnline,
    RecallError,
    RecallRefused,
    RecallTimedOut,
    RetrieverError,
    StoreUnavailable,
)
from scicat_retriever.domain.evidence import DatablockKey, Recalled
from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.pipeline.space import claim_dataset
from scicat_retriever.pipeline.toolbox import Toolbox
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.long_term_store import Locality, LongTermStore, RecallState, Wanted
from scicat_retriever.ports.recalls import RecallPhase, RecallRecord

APPEARING = (DatablockMissing, DatablockUnreadable, ArchiveIncomplete)
"""Errors of an archive that may still be on its way into the store."""
WAITED_FOR = (NotYetOnline, StoreUnavailable, *APPEARING)
"""Errors after which an archive is wanted, and waited for."""


def recall(record: DatablockRecord, tools: Toolbox) -> Recalled:
    """Say that an archive can be read; one that cannot is asked for.

    Raises:
        NotYetOnline: The recall goes on.
        DatablockMissing: The store has no such archive (yet).
        DatablockUnreadable: It may not be read (yet).
        ArchiveIncomplete: It is not (yet) as long as catalogued.
        StoreUnavailable: The store does not answer.
        ArchiveLost: It will not come back.
        NoSpaceYet: It is longer than catalogued, and there is no room for it now.
        LargerThanStaging: It is longer than catalogued, and there never will be.
    """
    archive_id = record.datablock.archive_id
    store = tools.stores.named(record.store)
    try:
        state = store.recall_states([Wanted(archive_id)]).get(archive_id)
        size = readable_size(record, state, tools)
    except WAITED_FOR:
        tools.ledger.want_recalls([record.key])
        raise
    if record.state is not DatablockState.RECALLING or record.reason:
        tools.ledger.move_datablock(record.key, DatablockState.RECALLING)
    # Compared with the catalogue's word, not with what was noted: a claim that failed is asked for again.
    # An extract that is read whole after all was claimed for as a small one.
    extract = record.datablock.extract
    if size != record.datablock.packed_size or (extract is not None and not extract.ranges):
        _claim_more(record, size, tools)
    return Recalled(record.key, archive_id, size)


def readable_size(record: DatablockRecord, state: RecallState | RecallError | None, tools: Toolbox) -> int:
    """Give the bytes of an archive that can be read, as far as its store's word goes; of an extract, its own.

    Args:
        record: Its datablock.
        state: What the store said; None where it said nothing.
        tools: The policies.

    Raises:
        NotYetOnline, DatablockMissing, DatablockUnreadable, ArchiveIncomplete, ArchiveLost: It cannot, see `recall`.
        RecallError: As the store said.
    """
    archive_id = record.datablock.archive_id
    if isinstance(state, RecallError):
        raise state
    if state is None:
        raise NotYetOnline(f"the long-term store says nothing of {archive_id}")
    match state.locality:
        case Locality.ONLINE:
            if record.datablock.ranges:
                size = record.datablock.packed_size
                _refuse_other_size(record, state.size, tools)
            else:
                size = record.bytes_total if state.size is None else state.size
                _refuse_other_size(record, size, tools)
            return size
        case Locality.MISSING:
            raise DatablockMissing(f"the long-term store has no {archive_id}")
        case Locality.LOST:
            raise ArchiveLost(f"the long-term store lost {archive_id}: {state.reason or 'it says no more'}")
        case Locality.OFFLINE | Locality.RECALLING:
            raise NotYetOnline(state.reason or f"waiting for {archive_id} to come back from tape")


def prepare(records: Sequence[DatablockRecord], tools: Toolbox) -> list[DatablockRecord]:
    """Give those datablocks whose archives can be copied now, or whose copy knows what is wrong; ask for the others.

    A store that does not answer is waited for like a tape.
    """
    ready: list[DatablockRecord] = []
    waiting: list[DatablockRecord] = []
    for name, its in groupby(sorted(records, key=lambda each: each.store), key=lambda each: each.store):
        batch = list(its)
        try:
            states = all_states(tools.stores.named(name), batch)
        except RecallError as error:
            states = {each.datablock.archive_id: error for each in batch}
        for record in batch:
            try:
                readable_size(record, states.get(record.datablock.archive_id), tools)
            except RetrieverError as error:
                may_come = error.retryable
            else:
                may_come = False
            (waiting if may_come else ready).append(record)
    if waiting:
        tools.ledger.want_recalls([each.key for each in waiting])
    return sorted(ready, key=lambda each: each.position)


def all_states(
    store: LongTermStore, records: Sequence[DatablockRecord]
) -> Mapping[ArchiveId, RecallState | RecallError]:
    """Ask a store where archives are, as many at once as it takes."""
    wanted = [Wanted(each.datablock.archive_id) for each in records]
    step = store.capabilities.batch
    answers: dict[ArchiveId, RecallState | RecallError] = {}
    for first in range(0, len(wanted), step):
        answers.update(store.recall_states(wanted[first : first + step]))
    return answers


@dataclass(frozen=True, slots=True)
class News:
    """What is new of the recalls that a dataset waits for.

    Attributes:
        ready: Datablocks that can be copied, or whose copy says what is wrong.
        failed: What is given up, and why.
        patience: How long it takes at most until another is to be given up; None where none ever is.
    """

    ready: list[DatablockRecord]
    failed: list[tuple[DatablockRecord, RetrieverError]]
    patience: timedelta | None


def news(
    pid: DatasetPid, awaited: Collection[DatablockId], appear: timedelta, recalled: timedelta, tools: Toolbox
) -> News:
    """Look what became of the recalls of a dataset.

    Args:
        pid: The dataset.
        awaited: Which of its datablocks are meant.
        appear: How long an archive may be missing that is looked for.
        recalled: How long a recall may take.
        tools: The ports.
    """
    now = tools.clock()
    found = News([], [], None)
    ends = []
    opened = {each.key.id: each for each in tools.ledger.recalls_of(pid)}
    for datablock in awaited:
        open_recall = opened.get(datablock)
        end = now if open_recall is None else _end_of(open_recall, appear, recalled)
        waits = open_recall is not None and open_recall.phase not in {RecallPhase.ONLINE, RecallPhase.ENDED}
        if waits and end > now:
            ends.append(end)
            continue
        record = tools.ledger.datablock(DatablockKey(pid, datablock))
        if record is None:
            continue
        error = None
        # What nobody asks for (any more) is left to its copy, which asks if it has to.
        if open_recall is not None and open_recall.phase is not RecallPhase.ONLINE:
            error = _why_not(open_recall, record, tools)
        if error is None:
            found.ready.append(record)
        else:
            found.failed.append((record, error))
    return News(found.ready, found.failed, min(ends) - now if ends else None)


def _end_of(open_recall: RecallRecord, appear: timedelta, recalled: timedelta) -> datetime:
    end = open_recall.wanted_at + recalled
    return end if open_recall.missing_since is None else min(end, open_recall.missing_since + appear)


def _why_not(open_recall: RecallRecord, record: DatablockRecord, tools: Toolbox) -> RetrieverError | None:
    """Ask the store a last time before a recall is given up; gives why it is, or None where the archive can be read."""
    try:
        recall(record, tools)
    except APPEARING as error:
        if open_recall.missing_since is not None:
            return error
    except WAITED_FOR:
        pass
    except RetrieverError as error:
        return error if not error.retryable else None  # what is waited for beside the tape, the copy knows
    else:
        return None
    if open_recall.phase is RecallPhase.ENDED:
        return RecallRefused(open_recall.reason or f"the store refuses to recall {open_recall.archive_id}")
    return RecallTimedOut(f"gave up: {open_recall.reason or f'{open_recall.archive_id} is still on tape'}")


def _claim_more(record: DatablockRecord, size: int, tools: Toolbox) -> None:
    """Have room for as much as the store holds, where that is not what was catalogued."""
    tools.ledger.note_progress(record.key, 0, size)
    try:
        claim_dataset(record.key.pid, tools)
    except NoSpaceYet as error:
        tools.ledger.move_datablock(record.key, DatablockState.WAITING_FOR_SPACE, str(error))
        raise


def _refuse_other_size(record: DatablockRecord, size: int | None, tools: Toolbox) -> None:
    extract = record.datablock.extract
    catalogued = record.datablock.packed_size if extract is None else extract.archive_size
    if tools.check_packed_size and catalogued > 0 and size not in {None, catalogued}:
        raise ArchiveIncomplete(
            f"{record.datablock.archive_id} has {size} bytes in the long-term store, {catalogued} in the catalogue"
        )

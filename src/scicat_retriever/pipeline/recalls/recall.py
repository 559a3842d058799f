"""Recall: which archives can be read now, and which have to be asked for. Their room in staging is claimed before."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from scicat_retriever.domain.batches import in_batches
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
from scicat_retriever.domain.states import DatablockState, RecallPhase
from scicat_retriever.pipeline.staging.space import claim_dataset
from scicat_retriever.pipeline.tools.stopping import stop_if
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.long_term_store import AskedArchive, Locality, LongTermStore, RecallState
from scicat_retriever.ports.recalls import RecallRecord

APPEARING = (DatablockMissing, DatablockUnreadable, ArchiveIncomplete)
"""Errors of an archive that may still be on its way into the store."""
WAITED_FOR = (NotYetOnline, StoreUnavailable, *APPEARING)
"""Errors after which an archive is wanted, and waited for."""


def recall(
    record: DatablockRecord, tools: Toolbox, cancelled: Callable[[], bool] = lambda: False
) -> Recalled:
    """Say that an archive can be read; one that cannot is asked for.

    Args:
        record: Its datablock.
        tools: The ports.
        cancelled: Asked once the store has said where it is: another attempt may have copied it meanwhile, which this one
            must not take back.

    Raises:
        JobCancelled: `cancelled` said so; nothing was done.
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
        state = store.recall_states([AskedArchive(archive_id)]).get(archive_id)
        size = readable_size(record, state, tools)
    except WAITED_FOR:
        stop_if(cancelled)
        tools.ledger.want_recalls([record.key])
        raise
    stop_if(cancelled)
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
            raise DatablockMissing(missing(archive_id, state))
        case Locality.LOST:
            raise ArchiveLost(f"the long-term store lost {archive_id}: {state.reason or 'it says no more'}")
        case Locality.OFFLINE | Locality.RECALLING:
            raise NotYetOnline(state.reason or _on_tape(archive_id))


def _on_tape(archive_id: ArchiveId) -> str:
    return f"waiting for {archive_id} to come back from tape"


def missing(archive_id: ArchiveId, state: RecallState) -> str:
    """Say that the store has no such archive, with the store's own words."""
    said = f": {state.reason}" if state.reason else ""
    return f"the long-term store has no {archive_id}{said}"


def prepare(
    records: Sequence[DatablockRecord], tools: Toolbox, cancelled: Callable[[], bool] = lambda: False
) -> list[DatablockRecord]:
    """Give those datablocks whose archives can be copied now, or whose copy knows what is wrong; ask for the others.

    A store that does not answer is waited for like a tape.

    Args:
        records: The datablocks.
        tools: The ports.
        cancelled: As `recall` asks it.

    Raises:
        JobCancelled: `cancelled` said so; nothing was done.
    """
    ready: list[DatablockRecord] = []
    waiting: list[DatablockRecord] = []
    for record, error in _unreadable(records, tools):
        (waiting if error is not None and error.retryable else ready).append(record)
    stop_if(cancelled)
    if waiting:
        tools.ledger.want_recalls([each.key for each in waiting])
    return sorted(ready, key=lambda each: each.position)


def _unreadable(
    records: Sequence[DatablockRecord], tools: Toolbox
) -> Iterator[tuple[DatablockRecord, RetrieverError | None]]:
    """Ask the stores where archives are, in as few calls as they take; gives why each cannot be read, None where it can."""
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
                yield record, error
            else:
                yield record, None


def all_states(
    store: LongTermStore, records: Sequence[DatablockRecord]
) -> Mapping[ArchiveId, RecallState | RecallError]:
    """Ask a store where archives are, as many at once as it takes."""
    wanted = [AskedArchive(each.datablock.archive_id) for each in records]
    answers: dict[ArchiveId, RecallState | RecallError] = {}
    for batch in in_batches(wanted, store.capabilities.batch):
        answers.update(store.recall_states(batch))
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
        recalled: How long a recall may take, from the moment when the store was asked for it first; and how long a store may
            be away before that.
        tools: The ports.
    """
    now = tools.clock()
    ready: list[DatablockRecord] = []
    ends: list[datetime] = []
    ended: list[DatablockRecord] = []
    opened = {each.key.id: each for each in tools.ledger.recalls_of(pid)}
    for datablock in awaited:
        open_recall = opened.get(datablock)
        is_open = open_recall is not None and open_recall.phase is not RecallPhase.ONLINE
        if open_recall is not None and is_open and open_recall.phase is not RecallPhase.ENDED:
            end = _end_of(open_recall, appear, recalled)
            if end > now:
                ends.append(end)
                continue
        record = tools.ledger.datablock(DatablockKey(pid, datablock))
        if record is not None:
            # What nobody asks for (any more) is left to its copy, which asks if it has to.
            (ended if is_open else ready).append(record)
    failed: list[tuple[DatablockRecord, RetrieverError]] = []
    # Before a recall is given up, its store is asked a last time.
    for record, error in _unreadable(ended, tools):
        open_recall = opened[record.key.id]
        final = None if error is None else _why_given_up(open_recall, error, now, recalled)
        if final is not None:
            failed.append((record, final))
        elif isinstance(error, WAITED_FOR):
            # It waits for its turn; or it was missing, and is there by now, or nobody can tell since the store is away.
            ends.append(now + appear)
            is_missing = not isinstance(error, NotYetOnline)
            if is_missing is (open_recall.missing_since is None):
                change = open_recall.change(is_missing=is_missing, reason=str(error))
                tools.ledger.change_recalls([change])
        else:
            ready.append(record)  # what is waited for beside the tape, the copy knows
    return News(ready, failed, min(ends) - now if ends else None)


def _why_given_up(
    open_recall: RecallRecord, error: RetrieverError, now: datetime, recalled: timedelta
) -> RetrieverError | None:
    """Say why a recall is given up of whose archive the store says `error` at the end; None where it is not."""
    if not isinstance(error, WAITED_FOR):
        return None if error.retryable else error
    if isinstance(error, APPEARING) and open_recall.missing_since is not None:
        return error
    if open_recall.phase is RecallPhase.ENDED:
        return RecallRefused(open_recall.reason or f"the store refuses to recall {open_recall.archive_id}")
    if _time_limit(open_recall, recalled) > now:
        return None
    # What waits for its turn waits on; not for a store that is away at this look and was at the one before.
    waits_for_turn = isinstance(error, NotYetOnline) or open_recall.missing_since is None
    if open_recall.first_asked_at is None and waits_for_turn:
        return None
    return RecallTimedOut(f"gave up: {_last_words(open_recall, error)}")


def _last_words(open_recall: RecallRecord, error: RetrieverError) -> str:
    """Say what was noted of a recall, and what its store says now, where that is more than that it is on tape."""
    noted, said = open_recall.reason, str(error)
    if noted and (said == _on_tape(open_recall.archive_id) or noted in said):
        return noted
    return f"{noted}; its store says: {said}" if noted else said


def _end_of(open_recall: RecallRecord, appear: timedelta, recalled: timedelta) -> datetime:
    """Say when a recall may be to be given up."""
    limit = _time_limit(open_recall, recalled)
    return limit if open_recall.missing_since is None else min(limit, open_recall.missing_since + appear)


def _time_limit(open_recall: RecallRecord, recalled: timedelta) -> datetime:
    return (open_recall.first_asked_at or open_recall.wanted_at) + recalled


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

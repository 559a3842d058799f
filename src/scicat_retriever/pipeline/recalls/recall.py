"""Recall: which archives can be read now, and which have to be asked for.

Their room in staging is claimed before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from scicat_retriever.domain.batches import in_batches
from scicat_retriever.domain.errors import NoSpaceYet, NotYetOnline, RecallError, RetrieverError
from scicat_retriever.domain.evidence import DatablockKey, Recalled
from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid
from scicat_retriever.domain.states import DatablockState, RecallPhase
from scicat_retriever.pipeline.recalls.verdict import WAITED_FOR, may_end_at, readable_size, why_given_up
from scicat_retriever.pipeline.staging.space import claim_dataset
from scicat_retriever.pipeline.tools.stopping import stop_if
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.pipeline.transfer.copy import staged_estimate
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.long_term_store import AskedArchive, LongTermStore, RecallState


def recall(
    record: DatablockRecord, tools: Toolbox, cancelled: Callable[[], bool] = lambda: False
) -> Recalled:
    """Give the evidence that an archive can be read; open a recall for an archive that cannot.

    Args:
        record: Its datablock.
        tools: The ports.
        cancelled: Asked once the store has answered: another attempt may have copied the archive meanwhile,
            and this one must not undo that.

    Raises:
        JobCancelled: `cancelled` said so; nothing was done.
        NotYetOnline: The recall goes on.
        RecallError: The archive cannot be had (yet), as its store says.
        ArchiveIncomplete: It is not (yet) as long as catalogued.
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
        tools.ledger.recalls.want([record.key])
        raise
    stop_if(cancelled)
    if record.state is not DatablockState.RECALLING or record.reason:
        tools.ledger.datablocks.move(record.key, DatablockState.RECALLING)
    # Compared with the catalogue's word, not with what was noted: a claim that failed is asked for again.
    # An extract that is read whole after all was claimed for as a small one.
    extract = record.datablock.extract
    staged = staged_estimate(record.datablock, size)
    if staged != record.datablock.packed_size or (extract is not None and not extract.ranges):
        _claim_more(record, staged, tools)
    return Recalled(record.key, archive_id, size)


def prepare(
    records: Sequence[DatablockRecord], tools: Toolbox, cancelled: Callable[[], bool] = lambda: False
) -> list[DatablockRecord]:
    """Give the datablocks that can be copied now, and open recalls for the others.

    A datablock is also given where its copy will say what is wrong.

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
        tools.ledger.recalls.want([each.key for each in waiting])
    return sorted(ready, key=lambda each: each.position)


def _unreadable(
    records: Sequence[DatablockRecord], tools: Toolbox
) -> Iterator[tuple[DatablockRecord, RetrieverError | None]]:
    """Ask the stores where archives are; give why each cannot be read, None where it can."""
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
        awaited: The datablocks of it that are waited for.
        appear: How long an archive may be missing before it is given up.
        recalled: How long a recall may take, from the moment when the store was asked first; and how long a
            store may be away before it was asked.
        tools: The ports.
    """
    now = tools.clock()
    ready: list[DatablockRecord] = []
    ends: list[datetime] = []
    ended: list[DatablockRecord] = []
    opened = {each.key.id: each for each in tools.ledger.recalls.of_dataset(pid)}
    for datablock in awaited:
        open_recall = opened.get(datablock)
        is_open = open_recall is not None and open_recall.phase is not RecallPhase.ONLINE
        if open_recall is not None and is_open and open_recall.phase is not RecallPhase.ENDED:
            end = may_end_at(open_recall, appear, recalled)
            if end > now:
                ends.append(end)
                continue
        record = tools.ledger.datablocks.get(DatablockKey(pid, datablock))
        if record is not None:
            # What nobody asks for (any more) is left to its copy, which asks if it has to.
            (ended if is_open else ready).append(record)
    failed: list[tuple[DatablockRecord, RetrieverError]] = []
    # Before a recall is given up, its store is asked a last time.
    for record, error in _unreadable(ended, tools):
        open_recall = opened[record.key.id]
        final = None if error is None else why_given_up(open_recall, error, now, recalled)
        if final is not None:
            failed.append((record, final))
        elif isinstance(error, WAITED_FOR):
            # It waits for its turn; or it was missing, and is there by now, or nobody can tell since the
            # store is away.
            ends.append(now + appear)
            is_missing = not isinstance(error, NotYetOnline)
            if is_missing is (open_recall.missing_since is None):
                change = open_recall.change(is_missing=is_missing, reason=str(error))
                tools.ledger.recalls.change([change])
        else:
            ready.append(record)  # what is waited for beside the tape, the copy knows
    return News(ready, failed, min(ends) - now if ends else None)


def _claim_more(record: DatablockRecord, size: int, tools: Toolbox) -> None:
    """Have room for as much as will be staged, where that is not what was catalogued of the archive."""
    tools.ledger.datablocks.note_progress(record.key, 0, size)
    try:
        claim_dataset(record.key.pid, tools)
    except NoSpaceYet as error:
        tools.ledger.datablocks.move(record.key, DatablockState.WAITING_FOR_SPACE, str(error))
        raise

"""The judge of recalls: what a store's word on an archive means to its reader and to its open recall.

The store says by an error why an archive cannot be had, and that stays it: what is noted, waited for and
given up is decided by the kind of that error, and a job's failure tells it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from scicat_retriever.domain.errors import (
    ArchiveIncomplete,
    DatablockMissing,
    DatablockUnreadable,
    NotYetOnline,
    RecallError,
    RecallRefused,
    RecallTimedOut,
    RetrieverError,
    StoreUnavailable,
)
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.domain.states import RecallPhase
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.long_term_store import Locality, RecallState
from scicat_retriever.ports.recalls import RecallChange, RecallRecord

APPEARING = (DatablockMissing, DatablockUnreadable, ArchiveIncomplete)
"""Errors of an archive that may still be on its way into the store."""
WAITED_FOR = (NotYetOnline, StoreUnavailable, *APPEARING)
"""Errors after which an archive is wanted, and waited for."""


def why_not(archive_id: ArchiveId, state: RecallState | RecallError | None) -> RecallError | None:
    """Give the error that a store's word on an archive stands for; None where the archive can be read.

    Args:
        archive_id: The archive.
        state: The store's word; None where it said nothing.
    """
    match state:
        case None:
            return NotYetOnline(f"the long-term store says nothing of {archive_id}")
        case RecallError():
            return state
        case RecallState(locality=Locality.ONLINE):
            return None
        case _:
            return NotYetOnline(state.reason or _on_tape(archive_id))


def _on_tape(archive_id: ArchiveId) -> str:
    return f"waiting for {archive_id} to come back from tape"


def readable_size(record: DatablockRecord, state: RecallState | RecallError | None, tools: Toolbox) -> int:
    """Give the size of an archive that can be read, by its store's word; of an extract, its own size.

    Args:
        record: Its datablock.
        state: The store's word; None where it said nothing.
        tools: The policies.

    Raises:
        RecallError: It cannot be read; see `why_not`.
        ArchiveIncomplete: It has another size than the catalogue says.
    """
    error = why_not(record.datablock.archive_id, state)
    if error is not None:
        raise error
    said = state.size if isinstance(state, RecallState) else None
    if record.datablock.ranges:
        _refuse_other_size(record, said, tools)
        return record.datablock.packed_size
    size = (record.datablock.packed_size or record.bytes_total) if said is None else said
    _refuse_other_size(record, size, tools)
    return size


def _refuse_other_size(record: DatablockRecord, size: int | None, tools: Toolbox) -> None:
    extract = record.datablock.extract
    catalogued = record.datablock.packed_size if extract is None else extract.archive_size
    if tools.archives.check_packed_size and catalogued > 0 and size not in {None, catalogued}:
        raise ArchiveIncomplete(
            f"{record.datablock.archive_id} has {size} bytes in the long-term store, {catalogued} in the catalogue"
        )


def verdict(
    open_recall: RecallRecord, state: RecallState | RecallError | None, tools: Toolbox, *, patient: bool
) -> RecallChange | None:
    """Say what the store's word changes; None where it is no news.

    Args:
        open_recall: The recall, waiting or asked for.
        state: The word; None where there was none.
        tools: The ledger and the policies.
        patient: Whether an archive that was asked for may still be called offline: the store was asked a
            moment ago.
    """
    match state:
        case None:
            return None
        case RecallState(locality=Locality.ONLINE):
            return _online(open_recall, state, tools)
        case RecallState(locality=Locality.OFFLINE) if open_recall.phase is RecallPhase.ASKED and not patient:
            words = f"{state.reason or 'the store forgot its recall'}; it is asked for again"
            return open_recall.change(RecallPhase.WAITING, is_missing=False, reason=words)
        case RecallState(locality=Locality.OFFLINE | Locality.RECALLING):
            if open_recall.missing_since is None:
                return None
            return open_recall.change(is_missing=False, reason=state.reason)
        case _:
            error = why_not(open_recall.archive_id, state)
            return None if error is None else _of_error(open_recall, error)


def _of_error(open_recall: RecallRecord, error: RetrieverError) -> RecallChange | None:
    is_known = open_recall.reason == str(error)
    if isinstance(error, APPEARING):
        is_known = is_known and open_recall.missing_since is not None
        return None if is_known else open_recall.change(is_missing=True, reason=str(error))
    if not error.retryable:
        return open_recall.change(RecallPhase.ENDED, reason=str(error))
    return None if is_known else open_recall.change(reason=str(error))


def _online(open_recall: RecallRecord, state: RecallState, tools: Toolbox) -> RecallChange | None:
    record = tools.ledger.datablocks.get(open_recall.key)
    if record is None:
        return None
    try:
        readable_size(record, state, tools)
    except RetrieverError as error:
        return _of_error(open_recall, error)
    return open_recall.change(RecallPhase.ONLINE, is_missing=False, reason="")


def refusal(open_recall: RecallRecord, error: RecallError) -> RecallChange:
    """Say what it changes that the store, asked for a recall, gave this error."""
    is_missing = isinstance(error, APPEARING)
    if is_missing or error.retryable:
        return open_recall.change(is_missing=is_missing, reason=str(error))
    return open_recall.change(RecallPhase.ENDED, reason=str(error))


def why_given_up(
    open_recall: RecallRecord, error: RetrieverError, now: datetime, recalled: timedelta
) -> RetrieverError | None:
    """Give the error by which a recall is given up; None where it is not given up.

    Args:
        open_recall: The recall, whose time may be over.
        error: Why its archive cannot be read, as the store says now.
        now: The time (UTC).
        recalled: How long a recall may take.
    """
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
    """Say what was noted of a recall, and what its store says now beside that it is on tape."""
    noted, said = open_recall.reason, str(error)
    if noted and (said == _on_tape(open_recall.archive_id) or noted in said):
        return noted
    return f"{noted}; its store says: {said}" if noted else said


def may_end_at(open_recall: RecallRecord, appear: timedelta, recalled: timedelta) -> datetime:
    """Give the time (UTC) before which a recall is not given up, whatever its store says.

    Args:
        open_recall: The recall.
        appear: How long its archive may be missing.
        recalled: How long the recall may take.
    """
    limit = _time_limit(open_recall, recalled)
    return limit if open_recall.missing_since is None else min(limit, open_recall.missing_since + appear)


def _time_limit(open_recall: RecallRecord, recalled: timedelta) -> datetime:
    return (open_recall.first_asked_at or open_recall.wanted_at) + recalled

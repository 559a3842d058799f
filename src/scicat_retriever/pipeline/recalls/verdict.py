"""What a store's word on an archive means to its open recall."""

from __future__ import annotations

from scicat_retriever.domain.errors import RecallError, RetrieverError
from scicat_retriever.domain.states import RecallPhase
from scicat_retriever.pipeline.recalls.recall import APPEARING, missing, readable_size
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.ports.long_term_store import Locality, RecallState
from scicat_retriever.ports.recalls import RecallChange, RecallRecord


def verdict(
    open_recall: RecallRecord, state: RecallState | RecallError | None, tools: Toolbox, *, patient: bool
) -> RecallChange | None:
    """Say what the store's word changes; None where it is no news.

    Args:
        open_recall: The recall, waiting or asked for.
        state: The word; None where there was none.
        tools: The ledger and the policies.
        patient: Whether an archive that was asked for may still be called offline: the store was asked a moment ago.
    """
    match state:
        case None:
            return None
        case RecallError():
            return _of_error(open_recall, state)
        case RecallState(locality=Locality.MISSING):
            return _missing(open_recall, missing(open_recall.archive_id, state))
        case RecallState(locality=Locality.LOST):
            return open_recall.change(RecallPhase.ENDED, reason=state.reason)
        case RecallState(locality=Locality.ONLINE):
            return _online(open_recall, state, tools)
        case RecallState(locality=Locality.OFFLINE) if open_recall.phase is RecallPhase.ASKED and not patient:
            words = f"{state.reason or 'the store forgot its recall'}; it is asked for again"
            return open_recall.change(RecallPhase.WAITING, is_missing=False, reason=words)
        case _ if open_recall.missing_since is not None:
            return open_recall.change(is_missing=False, reason=state.reason)
        case _:
            return None


def _of_error(open_recall: RecallRecord, error: RetrieverError) -> RecallChange | None:
    if isinstance(error, APPEARING):
        return _missing(open_recall, str(error))
    if not error.retryable:
        return open_recall.change(RecallPhase.ENDED, reason=str(error))
    return None if open_recall.reason == str(error) else open_recall.change(reason=str(error))


def _online(open_recall: RecallRecord, state: RecallState, tools: Toolbox) -> RecallChange | None:
    record = tools.ledger.datablock(open_recall.key)
    if record is None:
        return None
    try:
        readable_size(record, state, tools)
    except RetrieverError as error:
        return _of_error(open_recall, error)
    return open_recall.change(RecallPhase.ONLINE, is_missing=False, reason="")


def _missing(open_recall: RecallRecord, words: str) -> RecallChange | None:
    if open_recall.missing_since is not None and open_recall.reason == words:
        return None
    return open_recall.change(is_missing=True, reason=words)

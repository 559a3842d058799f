"""Open recalls to fill a ledger with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scicat_retriever.domain.dataset import RetrieveJob, Selection
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, RecallPhase
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.long_term_store import TapePosition
from scicat_retriever.ports.recalls import RecallChange, RecallRecord
from tests.contracts.ledger.samples import (
    FLOW,
    HOUR,
    START,
    key,
)

State, Phase = DatablockState, RecallPhase
RECALLABLE = [State.PLANNED, State.WAITING_FOR_SPACE, State.RECALLING, State.COPYING, State.COPIED]
OTHER_JOB = JobId("the other job")
ALL_NEWS = RecallChange(
    key(), Phase.ASKED, "request-7", TapePosition("VB1234", 17), START + 5 * HOUR, True, "3rd in the queue"
)


def start(ledger: Ledger, job_id: JobId, group: str | None, *pids: DatasetPid) -> None:
    """Have a job of an owner group wait for datasets."""
    selections = tuple(Selection(pid) for pid in pids)
    ledger.jobs.add(RetrieveJob(job_id, "retrieve", selections, "ada", group), FLOW)
    for pid in pids:
        ledger.jobs.move_dataset(job_id, pid, DatasetState.STARTED)


def change(ledger: Ledger, of: DatablockKey | None = None, **news: Any) -> None:
    ledger.recalls.change([RecallChange(of or key(), **news)])


def only(ledger: Ledger, store: str = "lts") -> RecallRecord:
    (found,) = ledger.recalls.of_store(store)
    return found


def block(ledger: Ledger, of: DatablockKey | None = None) -> DatablockRecord:
    found = ledger.datablocks.get(of or key())
    assert found is not None
    return found


def keys_of(records: Sequence[RecallRecord]) -> list[DatablockKey]:
    return [record.key for record in records]

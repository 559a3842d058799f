"""Jobs that want space, and datasets of a size."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from scicat_retriever.domain.dataset import RetrieveJob, Selection
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState
from scicat_retriever.ports.claims import PlaceInLine
from scicat_retriever.ports.jobs import FlowName
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.reports import Subject
from scicat_retriever.ports.staging_area import Room
from tests.contracts.ledger.samples import HOUR, bring_to, entry, key, tell_all

SILENCE = HOUR
"""After which time a job in line that does not ask is passed over."""
A, B, C = JobId("job a"), JobId("job b"), JobId("job c")


def wish(ledger: Ledger, name: JobId, sizes: Mapping[DatasetPid, int], group: str | None = "p17") -> JobId:
    """Store a job for datasets of these sizes."""
    selections = tuple(Selection(pid) for pid in sizes)
    ledger.jobs.add(RetrieveJob(name, "retrieve", selections, "ada", group), FlowName(name, "flow"))
    ledger.claims.note_sizes(name, sizes)
    return name


def claim(
    ledger: Ledger,
    name: JobId,
    total: int,
    free: int | None = None,
    *,
    silence: timedelta = SILENCE,
    quota: int | None = None,
) -> PlaceInLine:
    """Have a job claim its space in a room of that many bytes."""
    return ledger.claims.for_job(name, Room(total, free), silence=silence, quota=quota)


def grow(ledger: Ledger, pid: DatasetPid, room: Room) -> int:
    """Have a dataset claim what it needs; gives the bytes that are missing."""
    return ledger.claims.for_dataset(pid, room, silence=SILENCE).missing


def plan(ledger: Ledger, pid: DatasetPid, *sizes: int) -> list[DatablockKey]:
    """Plan a dataset with datablocks of these sizes."""
    ledger.datablocks.plan(
        pid, [entry(number, pid, packed_size=size) for number, size in enumerate(sizes)], "run-1"
    )
    return [key(number, pid) for number in range(len(sizes))]


def stage(ledger: Ledger, pid: DatasetPid, *sizes: int) -> list[DatablockKey]:
    """Have a dataset staged whose datablocks have these sizes."""
    keys = plan(ledger, pid, *sizes)
    for block, size in zip(keys, sizes, strict=True):
        bring_to(ledger, block, DatablockState.STAGED, size)
    return keys


def finish(ledger: Ledger, name: JobId, *retrieved: DatasetPid, told: bool = True) -> None:
    """End a job: these datasets are retrieved, the others failed; SciCat is told of it."""
    ledger.jobs.move(name, JobState.IN_PROGRESS)
    for each in ledger.jobs.datasets(name):
        state = DatasetState.RETRIEVED if each.pid in retrieved else DatasetState.FAILED
        ledger.jobs.move_dataset(name, each.pid, state)
    ledger.jobs.move(name, JobState.SUCCESSFUL)
    if told:
        tell_all(ledger, Subject.job(name))


def owners(ledger: Ledger, pid: DatasetPid | None = None) -> list[str]:
    """Whose pins there are, in the order in which they were made."""
    return [pin.owner for _, pin in ledger.pins.find(pid)]
